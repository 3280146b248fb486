"""Runs the programs of examples/c on real speech and a made-up network, and checks what comes out.

    examples.py FOLDER [COMMAND ...]

FOLDER holds the compiled programs; COMMAND runs a program, such as valgrind. tests/c/run calls it.
"""

import array
import contextlib
import math
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

SPEECH: Final = Path(__file__).resolve().parents[2] / "python" / "talkpath" / "data"
Samples: TypeAlias = "array.array[int]"
PROGRAMS: Final = Path(sys.argv[1])
RUNNER: Final = sys.argv[2:]


def run(program: str, *arguments: object, succeeds: bool = True) -> str:
    command = [*RUNNER, str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Sanitizer" not in done.stderr, done.stderr
    assert "runtime error" not in done.stderr, done.stderr
    assert done.returncode in ({0} if succeeds else {1, 2}), f"{command}: {done.returncode}\n{done.stderr}"
    return done.stdout if succeeds else done.stderr


def read_wav(path: Path, rate: int, channels: int = 1) -> list[Samples]:
    """Returns the samples of each channel."""
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, channels, 2), path
        samples = array.array("h", file.readframes(file.getnframes()))
        assert len(samples) == channels * file.getnframes(), f"{path} is shorter than its header says"
    return [samples[channel::channels] for channel in range(channels)]


def likeness(said: Samples, heard: Samples, most_shift: int) -> tuple[float, int]:
    """Returns the correlation of the two where it is the greatest, and by how much the second is late there."""

    def at(shift: int, step: int) -> float:
        pairs = [(said[i], heard[i + shift]) for i in range(0, min(len(said), len(heard) - shift), step)]
        power = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
        return sum(a * b for a, b in pairs) / power if power else 0.0

    best = max(range(most_shift + 1), key=lambda shift: at(shift, 5))
    return at(best, 1), best


def transcode(folder: Path) -> None:
    question = SPEECH / "question.wav"
    (said,) = read_wav(question, 8000)

    def there_and_back(ending: str, least: float, most_late_ms: float) -> None:
        run("transcode", question, folder / f"there.{ending}")
        run("transcode", "-r", "8000", folder / f"there.{ending}", folder / "back.wav")
        (heard,) = read_wav(folder / "back.wav", 8000)
        reached, late = likeness(said, heard, 120)
        assert reached >= least, f"{ending}: {reached:.4f} of it come back, wanted {least}"
        assert late <= 8 * most_late_ms, f"{ending}: {late / 8} ms late, wanted at most {most_late_ms}"

    run("transcode", question, folder / "same.wav")
    assert (folder / "same.wav").read_bytes()[44:] == said.tobytes()
    there_and_back("sln", 0.9999, 0)
    there_and_back("ulaw", 0.997, 0)
    there_and_back("alaw", 0.997, 0)
    there_and_back("sln48", 0.995, 10)  # late by parts of a sample, too
    there_and_back("g722", 0.97, 12)
    there_and_back("opk", 0.95, 15)
    assert (folder / "there.ulaw").stat().st_size == len(said), "a byte a sample"
    packets = (folder / "there.opk").read_bytes()
    count = 0
    while packets:
        packets = packets[2 + int.from_bytes(packets[:2], "big") :]
        count += 1
    assert count == math.ceil(len(said) / 160), "a packet for each 20 ms"

    assert "unknown ending" in run("transcode", question, folder / "a.mp3", succeeds=False)
    (folder / "cut.opk").write_bytes((folder / "there.opk").read_bytes()[:-3])
    assert "ends within a packet" in run("transcode", folder / "cut.opk", folder / "a.wav", succeeds=False)
    (folder / "text.wav").write_text("RIFF, but not really WAVE and so on")
    assert "not a WAV file" in run("transcode", folder / "text.wav", folder / "a.sln", succeeds=False)


def capture(payloads: list[bytes], link: int, arrivals_ms: dict[int, float]) -> bytes:
    """A pcap of mu-law in RTP, with a stranger's packets between; packets without an arrival were lost."""
    head = {1: bytes(12) + b"\x08\x00", 101: b""}[link]
    records = []
    for number, at in arrivals_ms.items():
        for ssrc, payload in ((7, payloads[number]), (8, bytes(160))):
            rtp = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, 160 * number, ssrc) + payload
            udp = struct.pack("!HHHH", 4000, 4002, 8 + len(rtp), 0) + rtp
            ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001) + udp
            records.append((at + 1000, head + ip))
    records.sort(key=lambda record: record[0])
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for at, packet in records:
        seconds, us = divmod(int(1000 * at), 1_000_000)
        out += struct.pack("<IIII", seconds, us, len(packet), len(packet)) + packet
    return out


def play(folder: Path) -> None:
    run("transcode", SPEECH / "question.wav", folder / "said.ulaw")
    (said,) = read_wav(SPEECH / "question.wav", 8000)
    encoded = (folder / "said.ulaw").read_bytes()
    payloads = [encoded[at : at + 160] for at in range(0, len(encoded) - 159, 160)]

    def heard(link: int, arrivals_ms: dict[int, float], *options: object) -> tuple[Samples, str]:
        (folder / "call.pcap").write_bytes(capture(payloads, link, arrivals_ms))
        stats = run("play", *options, folder / "call.pcap", folder / "heard.wav")
        return read_wav(folder / "heard.wav", 8000)[0], stats

    on_time = {number: 20.0 * number for number in range(len(payloads))}
    samples, stats = heard(1, on_time)
    reached, late = likeness(said, samples, 800)
    assert reached > 0.997, f"{reached:.4f} of a call on a perfect network are heard"
    assert late <= 480, f"{late / 8} ms late on a perfect network"
    assert f"packets    {len(payloads)}, 0 lost" in stats, stats

    chance = random.Random(7)
    jittery = {n: at + chance.uniform(0, 40) for n, at in on_time.items() if n == 0 or chance.random() > 0.05}
    samples, stats = heard(101, jittery, "-s", 7, "-f", 60)
    reached, late = likeness(said, samples, 800)
    lost = len(on_time) - len(jittery)
    assert lost > 3, "a network that loses nothing proves nothing"
    assert f"packets    {len(jittery)}, {lost} lost, 0 late" in stats, stats
    assert 0.85 < reached < 0.999, f"{reached:.4f} of a call on a bad network are heard"
    assert 440 <= late <= 640, f"{late / 8} ms late with 60 ms of delay"
    assert "is 0" not in stats
    assert "concealed  0 ms" not in stats, stats

    (folder / "cut.pcap").write_bytes((folder / "call.pcap").read_bytes()[:9000])
    run("play", folder / "cut.pcap", folder / "cut.wav")
    (folder / "none.pcap").write_bytes((folder / "call.pcap").read_bytes()[:24])
    assert "no RTP" in run("play", folder / "none.pcap", folder / "none.wav", succeeds=False)
    assert "not a .pcap" in run("play", SPEECH / "question.wav", folder / "none.wav", succeeds=False)


@contextlib.contextmanager
def recorder(folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    command = [*RUNNER, str(PROGRAMS / "record"), "-p", "0", "-g", str(SPEECH / "question.wav"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rsplit(":", 1)[1]), process
        finally:
            process.kill()


class Caller:
    """Asterisk's part: a frame every 20 ms, whatever comes back."""

    def __init__(self, port: int, said: bytes) -> None:
        self.id = str(uuid.uuid4())
        self.heard = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.sendall(b"\x01\x00\x10" + uuid.UUID(self.id).bytes)
        self._said = said
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        begin = time.monotonic()
        for number in range(len(self._said) // 320):
            self._socket.sendall(b"\x10\x01\x40" + self._said[320 * number : 320 * number + 320])
            # 20 ms on a clock that does not wait for the far end.
            while (left := begin + 0.02 * (number + 1) - time.monotonic()) > 0:
                if select.select([self._socket], [], [], left)[0]:
                    self.heard += self._socket.recv(65536)

    def wait(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "the caller is stuck"

    def hang_up(self) -> bytes:
        """Ends the call, and returns what audio has come in it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(b"\x00\x00\x00")
            while more := self._socket.recv(65536):
                self.heard += more
        audio, rest = b"", self.heard
        while len(rest) >= 3:
            kind, length = struct.unpack("!BH", rest[:3])
            if kind == 0x10:
                audio += rest[3 : 3 + length]
            rest = rest[3 + length :]
        return audio


def record(folder: Path) -> None:
    with wave.open(str(SPEECH / "interruption.wav"), "rb") as file:
        said = file.readframes(file.getnframes())
    said = said[: len(said) // 320 * 320]
    with recorder(folder) as (port, process):
        assert process.stdout is not None
        caller, other = Caller(port, said[:32000]), Caller(port, said)
        caller.wait()
        assert not list(folder.glob("[!.]*.wav")), "a recording has its name before it is complete"
        heard = caller.hang_up()
        printed = process.stdout.readline().split()
        assert caller.id in printed[0], printed
        check_recording(folder / printed[0], said[:32000], heard)

        # The other call is cut by the end of the program, and complete all the same.
        other.wait()
        process.send_signal(signal.SIGTERM)
        printed = process.stdout.readline().split()
        assert other.id in printed[0], printed
        check_recording(folder / printed[0], said, other.hang_up())
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(30) == 0, errors
        assert "Sanitizer" not in errors, errors
    assert len(list(folder.glob("[!.]*.wav"))) == 2, "a recording of each call"
    assert not list(folder.glob(".*.wav")), "parts are left"


def check_recording(path: Path, said: bytes, heard: bytes) -> None:
    left, right = read_wav(path, 8000, 2)
    spoken, sent = array.array("h", said), array.array("h", heard)
    assert max(sent) > 3000, "the greeting was played"
    check_side(left, spoken, "what the caller said")
    check_side(right, sent, "what the caller heard")
    if not RUNNER:
        begin, first = (next(at for at, sample in enumerate(side) if sample) for side in (right, sent))
        assert abs(begin - first) <= 1600, f"at {begin / 8} ms what the caller heard after {first / 8} ms"


def check_side(side: Samples, wanted: Samples, name: str) -> None:
    """It is all there, sample by sample; a machine that lags makes silence between frames, and nothing else."""
    at = 0
    for number in range(len(wanted) // 160):
        frame = wanted[160 * number : 160 * number + 160]
        while max(frame) and side[at : at + 160] != frame:
            assert at < len(side), f"{name} ends before its frame {number}"
            assert side[at] == 0, f"{name} differs in its frame {number}, {at / 8} ms into the recording"
            at += 1
        at += 160 if max(frame) else 0
    assert max(side[at:], default=0) == 0, f"{name}, and more after that"


if __name__ == "__main__":
    for check in (transcode, play, record):
        with tempfile.TemporaryDirectory() as temporary:
            check(Path(temporary))
