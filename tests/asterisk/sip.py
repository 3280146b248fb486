"""A SIP telephone made of sipp and a socket: sipp signals and speaks, the socket captures what comes back over RTP.

sipp streams speech but keeps nothing of the answer, so the call's offer names a port of the test's own. Where sipp
cannot stream a codec (16 kHz L16), the socket speaks too.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import talkpath
from pbx import CONFIGURATION, Pbx, free_udp_port
from speech import Samples

FRAME_S = 0.020
HEADER = struct.Struct(">BBHII")
LONGEST_CALL_MS = 90_000
ANSWER_BYE = """<recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


@dataclass(frozen=True)
class Codec:
    """An RTP payload: its number, its name in SDP, its bytes in 20 ms, and what is asked for in SDP (`a=fmtp`)."""

    payload_type: int
    name: str
    frame_bytes: int
    attributes: str = ""

    def encode(self, samples: Samples) -> bytes:
        """Returns the payload that carries 16-bit `samples`."""
        if self.name.startswith("L16"):
            return samples.astype(">i2").tobytes()
        return talkpath.encode(samples.astype("<i2").tobytes(), "ulaw")

    def decode(self, payload: bytes) -> Samples:
        """Returns the samples that `payload` carries."""
        if self.name.startswith("L16"):
            return np.frombuffer(payload, ">i2").astype(np.int16)
        return np.frombuffer(talkpath.decode(payload, "ulaw"), np.int16)


PCMU = Codec(0, "PCMU/8000", 160)
L16_WIDE = Codec(118, "L16/16000", 640)


class Phone:
    """Places one call on a `Pbx` and returns the payload that was played to it."""

    def __init__(self, pbx: Pbx, codec: Codec, folder: Path) -> None:
        self._pbx = pbx
        self._codec = codec
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def call(self, number: str, speech: bytes, after_ms: int = 500) -> bytes:
        """Calls `number`, speaks `speech` (payload bytes) and hangs up `after_ms` after its end.

        Returns every payload byte that came back, in the order of the RTP sequence numbers; a packet that is missing
        there is an error, since nothing may be lost on loopback.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
            media.bind(("127.0.0.1", 0))
            media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            capture = _Capture(media, self._codec, speech if self._codec is L16_WIDE else b"")
            duration_ms = len(speech) * 20 // self._codec.frame_bytes + after_ms
            try:
                self._run_sipp(number, speech, media.getsockname()[1], duration_ms)
            finally:
                capture.stop()
        return capture.in_order()

    def hand_over(self, number: str, media_port: int, duration_ms: int) -> None:
        """Calls `number` for somebody else, who speaks and hears, and takes keys, at `media_port`; then hangs up."""
        self._run_sipp(number, b"", media_port, duration_ms)

    def stay(self, number: str, media_port: int) -> None:
        """Calls `number` for somebody else, who speaks and hears at `media_port`, until the other side hangs up."""
        self._run_sipp(number, b"", media_port, LONGEST_CALL_MS, until_hung_up=True)

    def _run_sipp(
        self, number: str, speech: bytes, media_port: int, duration_ms: int, until_hung_up: bool = False
    ) -> None:
        (self._folder / "speech.raw").write_bytes(speech)
        scenario = (CONFIGURATION / "phone.xml").read_text()
        if self._codec is L16_WIDE or not speech:
            scenario = re.sub(r"<nop>.*</nop>", "", scenario)
        if until_hung_up:
            scenario = re.sub(r"<pause .*", ANSWER_BYE, scenario, flags=re.DOTALL)
        if not self._codec.attributes:
            scenario = re.sub(r"a=fmtp:@payload_type@.*\n", "", scenario)
        values = {
            "media_port": media_port,
            "payload_type": self._codec.payload_type,
            "codec": self._codec.name,
            "attributes": self._codec.attributes,
            "speech": "speech.raw",
            "duration_ms": duration_ms,
        }
        for name, value in values.items():
            scenario = scenario.replace(f"@{name}@", str(value))
        (self._folder / "phone.xml").write_text(scenario)
        command = [*self._pbx.tree.command("sipp"), f"127.0.0.1:{self._pbx.ports.sip}"]
        command += ["-sf", "phone.xml", "-s", number]
        command += ["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(free_udp_port()), "-m", "1", "-nostdin"]
        command += ["-min_rtp_port", str(free_udp_port()), "-timeout", f"{duration_ms // 1000 + 30}s", "-timeout_error"]
        done = subprocess.run(
            command, cwd=self._folder, env=os.environ | {"TERM": "dumb"}, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"sipp exited with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")


class _Capture:
    """Collects the packets that come in on a socket and, once it knows where they come from, speaks to there."""

    def __init__(self, media: socket.socket, codec: Codec, speech: bytes) -> None:
        self._media = media
        self._codec = codec
        self._speech = speech
        self._packets: dict[int, bytes] = {}
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._receive, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Ends the capture once everything that has come in is read."""
        self._stopped.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._media.getsockname())
        for thread in self._threads:
            thread.join()

    def in_order(self) -> bytes:
        """Returns the payloads by sequence number."""
        if not self._packets:
            raise RuntimeError("nothing came back over RTP")
        missing = sorted(set(range(min(self._packets), max(self._packets) + 1)) - self._packets.keys())
        if missing:
            raise RuntimeError(f"RTP packets {missing} of {len(self._packets)} are missing")
        return b"".join(self._packets[number] for number in sorted(self._packets))

    def _receive(self) -> None:
        highest = 0
        while True:
            packet, peer = self._media.recvfrom(2048)
            if not packet:
                return
            _, payload_type, sequence, _, _ = HEADER.unpack_from(packet)
            if payload_type & 0x7F != self._codec.payload_type:
                continue
            # Sequence numbers wrap around at 16 bits.
            number = highest + (sequence - highest + 0x8000) % 0x10000 - 0x8000 if self._packets else sequence + 0x10000
            highest = max(highest, number)
            self._packets[number] = packet[HEADER.size :]
            if self._speech and len(self._threads) == 1:
                self._threads.append(threading.Thread(target=self._speak, args=(peer,), daemon=True))
                self._threads[1].start()

    def _speak(self, peer: tuple[str, int]) -> None:
        due = time.monotonic()
        size = self._codec.frame_bytes
        for number, start in enumerate(range(0, len(self._speech), size)):
            header = HEADER.pack(0x80, self._codec.payload_type, number, number * size // 2, 0x7A1C)
            self._media.sendto(header + self._speech[start : start + size], peer)
            due += FRAME_S
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
