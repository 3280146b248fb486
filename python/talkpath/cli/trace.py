"""Packet traces: read from a CSV file, or made of a recording and a network; and written to one.

The first line of the file names its columns, in any order; those not named here are passed over:

- `arrival_ms`: when the packet came, on any clock; fractions are welcome
- `sequence`, `timestamp`: RTP's; the timestamp counts at 8 kHz for G.722 and at 48 kHz for Opus
- `marker` (may be left out): 1 for the first packet after a pause, else 0
- `ssrc` (may be left out): the source; another one is a new stream
- `payload` (may be left out): hexadecimal. Without such a column the packets say a recording of the package's, for as
  long as their `size` in bytes tells or, where that is left out, too, as the timestamps' usual step
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from talkpath._talkpath import Encoder, JitterBuffer
from talkpath.cli.wav import Audio
from talkpath.errors import InvalidArgument
from talkpath.testing import Network

PTIME_MS = 20
CODECS = {"ulaw": ("ulaw", 8000), "alaw": ("alaw", 8000), "g722": ("g722", 16000)}
"""What a payload may be, as RTP has it: the codec's name and its rate."""
CODECS |= {f"slin{khz or ''}": ("slin_be", 1000 * (khz or 8)) for khz in (0, 12, 16, 24, 32, 48)}
CODECS |= {"opus": ("opus", 48000)} | {f"opus{khz}": ("opus", 1000 * khz) for khz in (8, 12, 16, 24)}


_SAMPLES_A_BYTE = {"ulaw": 1, "alaw": 1, "g722": 2, "slin_be": 0.5}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet that came."""

    arrival_ms: float
    sequence: int
    timestamp: int
    payload: bytes
    marker: bool = False
    ssrc: int = 0
    size: int = 0
    """How long the payload is, where only that is known."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Packets in the order of arrival, and what they carry."""

    packets: list[Packet]
    codec: str
    """One of `CODECS`."""

    def buffer(self, playout: str) -> JitterBuffer:
        """An empty buffer for them."""
        codec, rate = CODECS[self.codec]
        return JitterBuffer(codec, rate, playout=playout)


def read(path: Path, codec: str, speech: Audio) -> Trace:
    """Reads a trace; what is wrong with it is told with its line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            packets = list(_rows(path, csv.DictReader(file, skipinitialspace=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"{path}: {error}, wanted a CSV file") from None
    if not packets:
        raise InvalidArgument(f"{path}: no packets, wanted at least one")
    if not packets[0].payload:
        packets = _speaking(packets, codec, speech)
    return Trace(sorted(packets, key=lambda packet: packet.arrival_ms), codec)


def make(audio: Audio, codec: str, network: Network) -> Trace:
    """The packets of a recording, 20 ms each, as a network delivers them."""
    name, rate = CODECS[codec]
    encoder, pcm = Encoder(name, rate), audio.at(rate).pcm
    frame = rate * PTIME_MS // 1000 * 2
    payloads = [encoder.encode(pcm[at : at + frame].ljust(frame, b"\0")) for at in range(0, len(pcm), frame)]
    step = _clock(codec) * PTIME_MS // 1000
    # A packet leaves when its last sample has been spoken.
    fates = network.send_all(len(payloads), ptime_ms=PTIME_MS)
    packets = [
        Packet(at + PTIME_MS, index % 2**16, index * step % 2**32, payload, index == 0)
        for index, (times, payload) in enumerate(zip(fates, payloads, strict=True))
        for at in times
    ]
    if not packets:
        raise InvalidArgument(f"impairments {network.impair}, wanted some of the {len(fates)} packets to arrive")
    return Trace(sorted(packets, key=lambda packet: packet.arrival_ms), codec)


def write(path: Path, trace: Trace) -> None:
    """Writes a trace that `read` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["arrival_ms", "sequence", "timestamp", "marker", "size", "payload"])
        for it in trace.packets:
            rows.writerow(
                [round(it.arrival_ms, 3), it.sequence, it.timestamp, int(it.marker), len(it.payload), it.payload.hex()]
            )


def _rows(path: Path, rows: "csv.DictReader[str]") -> Iterator[Packet]:
    names = rows.fieldnames or []
    if not {"arrival_ms", "sequence", "timestamp"} <= set(names):
        got = ", ".join(names) or "nothing"
        raise InvalidArgument(f"{path}: columns {got}, wanted arrival_ms, sequence and timestamp among them")
    for row in rows:
        at = f"{path}:{rows.line_num}"
        yield Packet(
            arrival_ms=_milliseconds(at, row["arrival_ms"]),
            sequence=_number(at, "sequence", row["sequence"], 2**16 - 1),
            timestamp=_number(at, "timestamp", row["timestamp"], 2**32 - 1),
            payload=_payload(at, row["payload"]) if "payload" in names else b"",
            marker=_number(at, "marker", row.get("marker") or "0", 1) == 1,
            ssrc=_number(at, "ssrc", row.get("ssrc") or "0", 2**32 - 1),
            size=_number(at, "size", row.get("size") or "0", 2**16 - 1),
        )


def _number(at: str, name: str, text: str | None, most: int) -> int:
    text = (text or "").strip()
    if not (text.isdecimal() and int(text) <= most):
        raise InvalidArgument(f"{at}: {name} of {text!r}, wanted 0 to {most}")
    return int(text)


def _milliseconds(at: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise InvalidArgument(f"{at}: arrival_ms of {text or ''!r}, wanted a number of at least 0")
    return value


def _payload(at: str, text: str | None) -> bytes:
    try:
        payload = bytes.fromhex(text or "")
    except ValueError:
        payload = b""
    if not payload:
        raise InvalidArgument(f"{at}: payload of {text or ''!r}, wanted hexadecimal")
    return payload


def _speaking(packets: list[Packet], codec: str, speech: Audio) -> list[Packet]:
    """The same packets with speech in them, each with the part that its timestamp names."""
    name, rate = CODECS[codec]
    pcm, clock = speech.at(rate).pcm, _clock(codec)
    first = {packet.ssrc: packet.timestamp for packet in reversed(packets)}

    def place(packet: Packet) -> tuple[int, int]:
        # The counter wraps around, and what came first need not be the first.
        ahead = (packet.timestamp - first[packet.ssrc]) % 2**32
        return packet.ssrc, ahead - 2**32 if ahead >= 2**31 else ahead

    places = sorted({place(packet) for packet in packets})
    steps = Counter(b[1] - a[1] for a, b in pairwise(places) if a[0] == b[0])
    usual = steps.most_common(1)[0][0] if steps else clock * PTIME_MS // 1000
    sizes = {place(packet): packet.size for packet in packets}
    encoders = {ssrc: Encoder(name, rate) for ssrc in first}
    payloads = {}
    for ssrc, at in places:
        # Of Opus a size does not tell the length.
        of_size = int(sizes[ssrc, at] * _SAMPLES_A_BYTE.get(name, 0))
        count = min(of_size or usual * rate // clock, rate // 5)
        begin = at * rate // clock * 2 % len(pcm)
        piece = (pcm[begin:] + pcm)[: 2 * count]
        payloads[ssrc, at] = encoders[ssrc].encode(piece)
    return [replace(packet, payload=payloads[place(packet)]) for packet in packets]


def _clock(codec: str) -> int:
    name, rate = CODECS[codec]
    return JitterBuffer(name, rate).clock_rate
