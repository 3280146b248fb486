"""An agent that sends what it is told to, as it is told to: all at once, cut off, wrong, or nothing.

Agents that keep time are a `Tap` or a `Serving`; this one is for what goes wrong, and for those that do not pace.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from caller import HANGUP, KINDS
from speech import Samples

WAIT_LIMIT_S = 30.0


class RawAgent:
    """Listens on loopback for one call; a context manager that closes everything."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._connection: socket.socket | None = None
        self._received = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._reader.join()
            self._connection.close()

    def accept(self) -> None:
        """Takes the call, and reads whatever it says from here on."""
        self._server.settimeout(WAIT_LIMIT_S)
        self._connection, _ = self._server.accept()
        self._connection.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, data: bytes) -> None:
        """Sends bytes, whatever they are."""
        assert self._connection is not None
        self._connection.sendall(data)

    def say(self, samples: Samples, rate: int = 8000) -> None:
        """Sends speech at once, in messages of 20 ms."""
        size = rate // 50
        frames = [samples[start : start + size].astype("<i2").tobytes() for start in range(0, samples.size, size)]
        self.send(b"".join(struct.pack(">BH", KINDS[rate], len(frame)) + frame for frame in frames))

    def hang_up(self) -> None:
        """Says goodbye."""
        self.send(struct.pack(">BH", HANGUP, 0))

    def close(self) -> None:
        """Closes without a word, in good order."""
        assert self._connection is not None
        self._connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Breaks the connection, as an agent does that dies with something unread."""
        assert self._connection is not None
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Whoever reads in another thread would hold the connection open.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
        self._reader.join()
        self._connection.close()

    def wait_until_heard(self, count: int) -> None:
        """Waits for that many bytes of the caller."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._received >= count or self._is_closed, WAIT_LIMIT_S):
                raise TimeoutError(f"{self._received} bytes came, wanted {count}")

    def wait_until_closed(self) -> None:
        """Waits until the other side has closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_closed, WAIT_LIMIT_S):
                raise TimeoutError("the other side has not closed the connection")

    def _read(self) -> None:
        assert self._connection is not None
        with suppress(OSError):
            while data := self._connection.recv(65536):
                with self._changed:
                    self._received += len(data)
                    self._changed.notify_all()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
