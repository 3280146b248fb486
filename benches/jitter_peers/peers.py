"""The buffers that are compared: built or fetched where they are not there, each in virtual time.

Programs speak the protocol of `benches/jitter_pipe.rs` on their pipes. Peers come from where their users get them:
WebRTC's NetEQ and spandsp as Debian's packages, unpacked and not installed, the `neteq` crate from the registry. What
cannot be had on a machine is `Missing`, with the reason.
"""

import ctypes
import ctypes.util
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from corpus import FRAME, RATE
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / "target" / "jitter-peers"

Samples = NDArray[np.int16]


class Missing(Exception):
    """This peer cannot be had on this machine."""


class Buffer(Protocol):
    """A jitter buffer that plays one stream of mu-law at 8 kHz."""

    def push(self, arrival_ms: float, sequence: int, timestamp: int, payload: bytes) -> None:
        """Takes a packet."""

    def pull(self, now_ms: float) -> Samples:
        """Plays what is due."""

    def close(self) -> None:
        """Ends."""


@dataclass(frozen=True)
class Peer:
    """A buffer that can be started, and how often it is asked for audio."""

    name: str
    start: Callable[[], Buffer]
    tick_ms: int = 20


class Piped:
    """A program at the other end of two pipes."""

    def __init__(self, command: list[str], tick_ms: int) -> None:
        self.frame = tick_ms * RATE // 1000
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._write(struct.pack("<4sIII", b"JBT1", RATE, self.frame, 0))

    def push(self, arrival_ms: float, sequence: int, timestamp: int, payload: bytes) -> None:
        self._write(struct.pack("<cdHIH", b"P", arrival_ms, sequence, timestamp, len(payload)) + payload)

    def pull(self, now_ms: float) -> Samples:
        self._write(struct.pack("<cd", b"G", now_ms))
        return np.frombuffer(self._read(2 * self.frame), "<i2")

    def close(self) -> None:
        self._write(b"E")
        (length,) = struct.unpack("<I", self._read(4))
        self._read(length)
        self.process.communicate(timeout=10)

    def _write(self, message: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(message)

    def _read(self, length: int) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.flush()
        data = self.process.stdout.read(length)
        if len(data) != length:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()} after {len(data)} bytes")
        return data


class Fixed:
    """A buffer of one delay after the first packet, as many servers have it; silence for what is lost, or `conceal`."""

    def __init__(self, delay_ms: float, conceal: "Spandsp | None" = None) -> None:
        self.delay_ms = delay_ms
        self.conceal = conceal
        self.waiting: dict[int, bytes] = {}
        self.begins_ms: float | None = None
        self.next = 0

    def push(self, arrival_ms: float, sequence: int, timestamp: int, payload: bytes) -> None:
        if self.begins_ms is None:
            self.begins_ms = arrival_ms + self.delay_ms
            self.next = timestamp
        self.waiting[timestamp] = payload

    def pull(self, now_ms: float) -> Samples:
        if self.begins_ms is None or now_ms < self.begins_ms:
            return np.zeros(FRAME, np.int16)
        payload = self.waiting.pop(self.next, None)
        self.next = (self.next + FRAME) % 2**32
        samples = None if payload is None else ULAW[np.frombuffer(payload, np.uint8)]
        if self.conceal is not None:
            return self.conceal.play(samples)
        return np.zeros(FRAME, np.int16) if samples is None else samples

    def close(self) -> None:
        pass


class Spandsp:
    """The packet loss concealment of spandsp, which Asterisk's generic one is, too."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        library.plc_init.restype = ctypes.c_void_p
        self.state = ctypes.c_void_p(library.plc_init(None))

    def play(self, samples: Samples | None) -> Samples:
        """Plays a frame that came, which smooths the return from a gap, or one that did not."""
        frame = (ctypes.c_int16 * FRAME)(*(samples if samples is not None else ()))
        if samples is None:
            self.library.plc_fillin(self.state, frame, FRAME)
        else:
            self.library.plc_rx(self.state, frame, FRAME)
        return np.frombuffer(frame, np.int16).copy()


def talkpath() -> Peer:
    """This repository's."""
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "jitter_pipe", "--message-format", "json"]
    built = (json.loads(line) for line in _run(command, ROOT).splitlines())
    program = next(it["executable"] for it in built if it.get("executable") and it["target"]["name"] == "jitter_pipe")
    return Peer("talkpath", lambda: Piped([program], 20))


def webrtc() -> Peer:
    """WebRTC's own NetEQ, of the library that Debian builds for Telegram (a snapshot of WebRTC, January 2023)."""
    program = CACHE / "webrtc-pipe"
    source = HERE / "webrtc.cc"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        tree = _debian("webrtc", ["libtgowt-dev", "libabsl-dev"])
        include = tree / "usr" / "include"
        library = next(iter(tree.glob("usr/lib/*/libtg_owt.a")), None)
        if library is None:
            raise Missing("Debian's libtgowt-dev has no libtg_owt.a")
        abseil = sorted(map(str, library.parent.glob("libabsl_*.a")))
        flags = ["-O2", "-std=c++20", "-DWEBRTC_POSIX", "-DWEBRTC_LINUX", f"-I{include / 'tg_owt'}", f"-I{include}"]
        # Video and network code that NetEQ never calls wants libraries that are not there.
        link = ["-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all", "-lpthread", "-ldl"]
        group = ["-Wl,--start-group", str(library), *abseil, "-Wl,--end-group"]
        _run(["g++", *flags, "-o", str(program), str(source), *group, *link], CACHE)
    return Peer("WebRTC NetEQ", lambda: Piped([str(program)], 10), 10)


def neteq_crate() -> Peer:
    """The `neteq` crate, on a clock that follows the harness: it reads the system's otherwise."""
    manifest = HERE / "neteq_crate" / "Cargo.toml"
    target = CACHE / "neteq-crate"
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", str(manifest)]
    _run([*command, "--target-dir", str(target)], ROOT)
    program = str(target / "release" / "neteq-pipe")
    return Peer("`neteq` crate 0.9.1", lambda: Piped([program], 10), 10)


def spandsp() -> Peer:
    """A fixed buffer with spandsp's concealment."""
    library = _load_spandsp()
    return Peer(f"fixed {FIXED_MS:g} ms, spandsp", lambda: Fixed(FIXED_MS, Spandsp(library)))


def fixed() -> Peer:
    """A fixed buffer with none."""
    return Peer(f"fixed {FIXED_MS:g} ms, silence", lambda: Fixed(FIXED_MS))


def _load_spandsp() -> ctypes.CDLL:
    if installed := ctypes.util.find_library("spandsp"):
        return ctypes.CDLL(installed)
    # apt knows what of its dependencies this machine lacks.
    tree = _debian("spandsp", None, install="libspandsp-dev")
    libraries = {path.resolve() for path in tree.glob("usr/lib/*/*.so.*")}
    # Each is found by those that need it once it is loaded, so the order is tried out.
    for _ in range(len(libraries)):
        for path in sorted(libraries):
            try:
                library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
            libraries.discard(path)
            if "libspandsp" in path.name:
                return library
    raise Missing(f"libspandsp of Debian's package does not load: {', '.join(path.name for path in libraries)}")


def _debian(name: str, packages: list[str] | None, install: str = "") -> Path:
    """Downloads Debian packages and unpacks them into a folder: those named, or what installing one would take."""
    tree = CACHE / name
    if tree.exists():
        return tree
    scratch = CACHE / f"{name}.fetch"
    (scratch / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    if packages is not None:
        _run(["apt-get", "-q", "download", *packages], scratch / "archives")
    else:
        options = [f"-oDir::Cache={scratch}", "-oDebug::NoLocking=1", "--no-install-recommends"]
        _run(["apt-get", "-q", "-y", "--download-only", *options, "install", install], scratch)
    unpacked = scratch / "tree"
    for package in sorted((scratch / "archives").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(unpacked)], scratch)
    unpacked.rename(tree)
    shutil.rmtree(scratch)
    return tree


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        # The compiler's driver has the last word, and it is no news.
        said = [line.strip() for line in done.stderr.splitlines() if line.strip() and "collect2" not in line]
        errors = [line for line in said if "error" in line.lower() or line.startswith("E:")] or said[-1:]
        raise Missing(f"{' '.join(command[:3])} failed: {errors[0] if errors else 'it said nothing'}")
    return done.stdout


def _ulaw_table() -> Samples:
    bits = ~np.arange(256, dtype=np.int32) & 0xFF
    size = ((((bits & 15) << 3) + 132) << (bits >> 4 & 7)) - 132
    return np.where(bits & 128, -size, size).astype(np.int16)


ULAW = _ulaw_table()
FIXED_MS = 60.0
PEERS = (talkpath, webrtc, neteq_crate, spandsp, fixed)
