"""A SIP telephone that speaks Opus: talkpath's own encoder and decoder on a socket, with sipp to signal for it.

Each packet is known on both sides, and any may be lost on purpose.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np

import talkpath
from pbx import Pbx
from sip import Codec, Phone
from speech import Samples

PAYLOAD_TYPE = 107
CLOCK = 48_000
HEADER = struct.Struct(">BBHII")
WAIT_LIMIT_S = 60.0


def encode(samples: Samples, rate: int, ptime_ms: int = 20) -> list[bytes]:
    """Returns the packets that carry `samples`, of which a last part that fills no packet is left out."""
    encoder = talkpath.Encoder("opus", rate)
    size = rate * ptime_ms // 1000
    frames = samples[: samples.size // size * size].reshape(-1, size)
    return [encoder.encode(frame.tobytes()) for frame in frames]


def decode(packets: Sequence[bytes | None], rate: int) -> Samples:
    """Returns what packets of 20 ms decode to; of a row of lost ones (None), the last is looked for in the next."""
    decoder = talkpath.Decoder("opus", rate)
    lost = rate // 50
    heard: list[bytes] = []
    for index, packet in enumerate(packets):
        if packet is None:
            following = packets[index + 1] if index + 1 < len(packets) else None
            found = decoder.recover(following, lost) if following is not None else None
            heard.append(found or decoder.conceal(lost) or b"")
        else:
            heard.append(decoder.decode(packet))
    return np.frombuffer(b"".join(heard), np.int16)


class OpusPhone:
    """One call in Opus, which speaks when it is told to, and keeps every packet that it hears.

    It calls at once, and stays until the other side hangs up; as a context manager it waits for that.
    """

    def __init__(self, pbx: Pbx, number: str, folder: Path, attributes: str = "") -> None:
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.bind(("127.0.0.1", 0))
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._peer: tuple[str, int] | None = None
        self._heard: dict[int, bytes] = {}
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        phone = Phone(pbx, Codec(PAYLOAD_TYPE, f"opus/{CLOCK}/2", 0, attributes), folder)
        port = int(self._media.getsockname()[1])
        self._threads = [
            threading.Thread(target=self._signal, args=(phone, number, port), daemon=True),
            threading.Thread(target=self._receive, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads[0].join()
        with suppress(OSError):
            self._media.shutdown(socket.SHUT_RDWR)
        self._threads[1].join()
        self._media.close()
        if self._failure is not None:
            raise self._failure

    def speak(self, packets: Sequence[bytes | None], ptime_ms: int = 20, late: int = -1) -> None:
        """Sends the packets at the pace of speech, but for those that are None: they are lost.

        The one with the number `late` comes after the next.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._peer is not None, WAIT_LIMIT_S):
                raise TimeoutError("nothing came over RTP, so there is nobody to speak to")
        assert self._peer is not None
        order = list(range(len(packets)))
        if late >= 0:
            order[late : late + 2] = [late + 1, late]
        due = time.monotonic()
        for number in order:
            if (packet := packets[number]) is not None:
                # Numbers that do not wrap around: Debian's Asterisk, which looks at them, drops a packet there.
                header = HEADER.pack(0x80, PAYLOAD_TYPE, 1 + number, number * ptime_ms * 48, 0x0705)
                self._media.sendto(header + packet, self._peer)
            due += ptime_ms / 1000
            time.sleep(max(0.0, due - time.monotonic()))

    def packets(self) -> list[bytes]:
        """Returns what was heard, in the order of the sequence numbers; one that is missing is an error."""
        with self._changed:
            numbers = sorted(self._heard)
            if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                raise RuntimeError(f"of {len(numbers)} packets some are missing")
            return [self._heard[number] for number in numbers]

    def _signal(self, phone: Phone, number: str, port: int) -> None:
        try:
            phone.stay(number, port)
        except Exception as failure:
            self._failure = failure

    def _receive(self) -> None:
        highest = 1 << 16
        with suppress(OSError):
            while True:
                packet, peer = self._media.recvfrom(2048)
                if len(packet) <= HEADER.size:
                    return
                _, payload_type, sequence, _, _ = HEADER.unpack_from(packet)
                if payload_type & 0x7F != PAYLOAD_TYPE:
                    continue
                with self._changed:
                    # Sequence numbers wrap around at 16 bits.
                    ahead = (sequence - highest + 0x8000) % 0x10000 - 0x8000
                    number = highest + ahead if self._heard else sequence + 0x10000
                    highest = max(highest, number)
                    self._heard[number] = packet[HEADER.size :]
                    self._peer = peer
                    self._changed.notify_all()
