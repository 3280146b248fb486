"""Plays a caller's part on AudioSocket: one frame every 20 ms out, and everything that comes back with its time.

It stands at either end of an Asterisk: `Tap` answers where Asterisk dials out, so that what a caller says and hears
inside a real Asterisk is known to the sample and the millisecond; `Caller.connect` speaks to talkpath directly, where
many calls are measured and Asterisk would only add its own scheduling.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np

from speech import Samples

HANGUP, IDENTITY, DTMF = 0x00, 0x01, 0x03
KINDS = {8000: 0x10, 12000: 0x11, 16000: 0x12, 24000: 0x13, 32000: 0x14, 44100: 0x15, 48000: 0x16}
RATES = {kind: rate for rate, kind in KINDS.items()}
FRAME_S = 0.020
WAIT_LIMIT_S = 60.0


@dataclass(frozen=True)
class Frame:
    """One frame on the wire, and when it was sent or received (of `time.monotonic`)."""

    at: float
    samples: Samples

    @property
    def loud(self) -> bool:
        """Whether there is more in it than silence and rounding."""
        return bool(self.samples.size) and int(np.abs(self.samples.astype(np.int32)).max()) > 8


class Caller:
    """One call's paced sender and recorder; a context manager that ends both."""

    def __init__(self, connection: socket.socket, rate: int, identity: str = "") -> None:
        self.rate = rate
        self.identity = identity
        """The call's UUID, whichever side gave it."""
        self.sent: list[Frame] = []
        self.heard: list[Frame] = []
        self.heard_rates: set[int] = set()
        self.keys = ""
        """The keys that came in."""
        self.hung_up = False
        """Whether the other side has ended the call."""
        self._connection = connection
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._script: list[Samples] = []
        self._ended = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    @classmethod
    def connect(cls, port: int, rate: int = 8000) -> Caller:
        """Calls a talkpath server as Asterisk does: the call's identity first, then audio."""
        connection = socket.create_connection(("127.0.0.1", port))
        identity = uuid.uuid4()
        connection.sendall(struct.pack(">BH", IDENTITY, 16) + identity.bytes)
        return cls(connection, rate, str(identity))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def say(self, samples: Samples) -> int:
        """Speaks once all that it was told to say before is said; returns the index of its first frame."""
        size = int(self.rate * FRAME_S)
        frames = [samples[start : start + size] for start in range(0, samples.size, size)]
        with self._changed:
            first = len(self.sent) + len(self._script)
            self._script += frames
            return first

    def press(self, digits: str) -> None:
        """Sends one DTMF message for each digit."""
        for digit in digits:
            self._connection.sendall(struct.pack(">BHc", DTMF, 1, digit.encode()))

    def wait_until(self, condition: Callable[[], bool], limit_s: float = WAIT_LIMIT_S) -> None:
        """Waits until `condition` holds; it is looked at after every frame in either direction."""
        with self._changed:
            if not self._changed.wait_for(condition, limit_s):
                raise TimeoutError(f"not within {limit_s} s; {len(self.sent)} sent, {len(self.heard)} heard")

    def wait_until_said(self, and_ms: int = 0) -> None:
        """Waits until everything is said, and for `and_ms` of silence after it."""
        self.wait_until(lambda: not self._script)
        until = len(self.sent) + round(and_ms / 1000 / FRAME_S)
        self.wait_until(lambda: len(self.sent) >= until)

    def wait_until_hung_up(self) -> None:
        """Waits until the other side ends the call."""
        self.wait_until(lambda: self.hung_up)

    def hang_up(self) -> None:
        """Closes the connection as Asterisk does, without a word."""
        with self._changed:
            self._ended = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._connection.close()

    def all_sent(self) -> Samples:
        """Returns everything that was sent, end to end."""
        return np.concatenate([frame.samples for frame in self.sent])

    def all_heard(self) -> Samples:
        """Returns everything that came back, end to end."""
        return np.concatenate([frame.samples for frame in self.heard])

    def _send(self) -> None:
        silence = np.zeros(int(self.rate * FRAME_S), np.int16)
        due = time.monotonic()
        while True:
            with self._changed:
                if self._ended:
                    return
                samples = self._script.pop(0) if self._script else silence
                payload = samples.astype("<i2").tobytes()
                self.sent.append(Frame(time.monotonic(), samples))
                self._changed.notify_all()
            try:
                self._connection.sendall(struct.pack(">BH", KINDS[self.rate], len(payload)) + payload)
            except OSError:
                return
            due += FRAME_S
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self) -> None:
        with self._connection.makefile("rb") as stream:
            while (header := _read(stream.read, 3)) is not None:
                kind, size = struct.unpack(">BH", header)
                payload = _read(stream.read, size)
                if payload is None or kind == HANGUP:
                    break
                now = time.monotonic()
                with self._changed:
                    if kind == IDENTITY:
                        self.identity = str(uuid.UUID(bytes=payload))
                    elif kind == DTMF:
                        self.keys += payload.decode()
                    elif kind in RATES:
                        self.heard_rates.add(RATES[kind])
                        self.heard.append(Frame(now, np.frombuffer(payload, "<i2")))
                    self._changed.notify_all()
        with self._changed:
            self.hung_up = True
            self._changed.notify_all()


class Tap:
    """Where Asterisk hands a caller's channel to the test: each call that it dials becomes a `Caller`."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def accept(self, rate: int) -> Caller:
        """Waits for the next call."""
        self._server.settimeout(WAIT_LIMIT_S)
        connection, _ = self._server.accept()
        connection.settimeout(None)
        return Caller(connection, rate)


def _read(read: Callable[[int], bytes], size: int) -> bytes | None:
    """Reads exactly `size` bytes, or None where the connection ends before."""
    try:
        data = read(size)
    except OSError:
        return None
    return data if len(data) == size else None
