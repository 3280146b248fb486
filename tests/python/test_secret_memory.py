"""A canary is looked for from outside, in all that a process shows: its memory, registers, environment and children.

The process opens a store by itself, so that nothing but the store's file ever told it the secret; the test, which made
the store, knows what to look for. Each run also plants the canary, in memory and in a register, and must find it there:
the search can fail.
"""

import base64
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from talkpath.secret import SecretStore, secret_protection

AGENT = """
import os, subprocess, sys, gc
from talkpath.secret import SecretStore, SecretRef

path, source = sys.argv[1:]

def at(state):
    print(state, flush=True)
    sys.stdin.readline()

def use(secret):
    with secret.open() as view:
        os.write(sink, view)

at("started")
sink = os.open("/dev/null", os.O_WRONLY)
store = SecretStore.open(path, source=source)
secret = store["CANARY"]
at("held")
use(secret)
secret.matches(b"something else")
at("used")
with secret.open() as view:
    os.write(sink, view)
    at("open")
store.rotate("OTHER", SecretRef(bytearray(b"another")))
store.reload()
print(repr(secret), repr(store), store.list(), flush=True)
try:
    raise RuntimeError(secret)
except RuntimeError as error:
    sys.stderr.write(repr(error) + chr(10))
at("written")
child = subprocess.Popen(["sleep", "60"])
forked = os.fork()
if forked == 0:
    import time
    time.sleep(60)
    os._exit(0)
print(child.pid, forked)
at("parent")
os.kill(forked, 9)
os.waitpid(forked, 0)
child.kill()
child.wait()
del secret, store
gc.collect()
at("dropped")
if os.uname().machine == "x86_64":
    import ctypes, mmap
    # movdqu xmm5, [rdi]; pxor xmm6, xmm6; movdqu [rdi], xmm6; read(esi, rdx, 1): then it is in a register alone.
    wait = bytes.fromhex("f30f6f2f 660feff6 f30f7f37 89f7 4889d6 ba01000000 31c0 0f05 c3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(wait)
    where = ctypes.addressof(ctypes.c_char.from_buffer(page))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(where)
    piece, ignored = ctypes.create_string_buffer(16), ctypes.create_string_buffer(1)
    with SecretStore.open(path, source=source)["CANARY"].open() as view:
        memoryview(piece).cast("B")[:] = view[:16]
    print("register", flush=True)
    # It reads the line feed by itself, past Python's buffer, which is empty.
    function(ctypes.addressof(piece), 0, ctypes.addressof(ignored))
with SecretStore.open(path, source=source)["CANARY"].open() as view:
    planted = bytes(view)
at("planted")
"""


SUPERVISOR = """
import asyncio, sys
from talkpath import EventBus, ProcessManager
from talkpath.secret import SecretStore

path, source = sys.argv[1:]

async def main():
    secret = SecretStore.open(path, source=source)["CANARY"]
    bus = EventBus()
    manager = ProcessManager(bus=bus)
    with bus.subscribe("*", "*") as events:
        bus.publish("call", "agent:key", {"key": secret})
        sleeping = await manager.start(["sleep", "60"])
        asks = "printf 'Password: '; read -r line; echo got ${#line} letters; exec sleep 60"
        asking = await manager.start(["sh", "-c", asks], pty=True, console="call")
        await asking.send_line(secret)
        async for event in events:
            print(event.kind, repr(event.data), flush=True)
            if event.kind == "console" and "letters" in repr(event.data):
                break
        print("programs", sleeping.pid, asking.pid, flush=True)
        print("typed", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


class Agent:
    def __init__(self, tmp_path: Path, store: Path, source: str, program: str = AGENT) -> None:
        self.errors = (tmp_path / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(store), source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
        )
        self.said = ""
        self.unread = b""

    def reaches(self, state: str) -> str:
        """Lets it run until it says `state`, where it waits; what it said before is returned."""
        assert self.process.stdin is not None
        if self.said:
            os.write(self.process.stdin.fileno(), b"\n")
        before = ""
        while (line := self.line()) != state:
            before += line + "\n"
        self.said += before + state
        return before

    def line(self) -> str:
        assert self.process.stdout is not None
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            assert ready, f"said nothing for a minute after {self.said!r}"
            more = os.read(self.process.stdout.fileno(), 4096)
            assert more, self.stderr()
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@pytest.fixture
def canary() -> bytes:
    return base64.b32encode(os.urandom(40))[:64]


@pytest.fixture
def store(tmp_path: Path, canary: bytes) -> tuple[Path, str]:
    path, source = tmp_path / "secrets.age", f"file:{tmp_path / 'key'}"
    made = SecretStore.create(path, source=source)
    made.set("CANARY", bytearray(canary))
    made.set("OTHER", bytearray(b"other"))
    return path, source


@pytest.fixture
def agent(tmp_path: Path, store: tuple[Path, str]) -> Iterator[Agent]:
    agent = Agent(tmp_path, *store)
    yield agent
    agent.end()


def key_of(tmp_path: Path) -> tuple[bytes, bytes]:
    """The store's key: its bytes, and as the text that is in its file."""
    text = (tmp_path / "key").read_bytes().strip()
    letters = text.decode().lower().removeprefix("age-secret-key-1")[:52]
    bits = "".join(f"{'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.index(letter):05b}" for letter in letters)
    return int(bits[:256], 2).to_bytes(32, "big"), text.removeprefix(b"AGE-SECRET-KEY-1")


def pieces(secret: bytes) -> list[bytes]:
    """Each eight bytes of it, as half a register holds them, in every spelling they may have."""
    found = []
    for at in range(0, len(secret) - 7, 8):
        piece = secret[at : at + 8]
        found += [
            piece,
            piece.hex().encode(),
            piece.hex().upper().encode(),
            "".join(map(chr, piece)).encode("utf-16-le"),
        ]
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        # The ends depend on what stands beside it.
        found += [text[at : at + 12] for at in range(4, len(text) - 16, 12)]
    return found


def matcher(*secrets: bytes) -> "re.Pattern[bytes]":
    return re.compile(b"|".join(re.escape(piece) for secret in secrets for piece in pieces(secret)))


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """Every mapping of a process that can be read from outside, but for what is mapped from files as it is there."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(address, 16) for address in span.split("-"))
            if rights[0] != "r" or (rights[1] != "w" and "/" in line) or "[v" in line:
                continue
            content = bytearray()
            while start < end:
                try:
                    content += os.pread(mem.fileno(), min(end - start, 1 << 24), start)
                except OSError:
                    break  # secret memory, or beyond the end of a file
                start = start if not content else start + (1 << 24)
            yield line, bytes(content)


def hits(pid: int, looked_for: "re.Pattern[bytes]") -> list[str]:
    places = [line for line, content in memory(pid) if looked_for.search(content)]
    places += [name for name in ("environ", "cmdline") if looked_for.search(Path(f"/proc/{pid}/{name}").read_bytes())]
    return places


def core(pid: int, tmp_path: Path) -> bytes:
    """A core dump with all registers, as a debugger that attaches takes it."""
    file = tmp_path / "core"
    command = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", f"gcore {file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert file.exists(), done.stdout + done.stderr
    content = file.read_bytes()
    file.unlink()
    return content


def test_nothing_shows_the_secret_or_its_key(tmp_path: Path, agent: Agent, canary: bytes) -> None:
    looked_for = matcher(canary, *key_of(tmp_path))
    agent.reaches("started")
    assert hits(agent.process.pid, looked_for) == []
    for state in ("held", "used", "open", "written"):
        agent.reaches(state)
        if state != "open" or secret_protection() == "secret-memory":
            assert hits(agent.process.pid, looked_for) == [], state
    for child in agent.reaches("parent").split():
        assert hits(int(child), looked_for) == []
    agent.reaches("dropped")
    assert hits(agent.process.pid, looked_for) == []
    assert not looked_for.search((agent.said + agent.stderr()).encode())
    assert "SecretRef(CANARY)" in agent.said
    assert "SecretRef(CANARY)" in agent.stderr()

    if os.uname().machine == "x86_64":
        agent.reaches("register")
    agent.reaches("planted")
    assert hits(agent.process.pid, looked_for), "the search itself"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_events_and_programs_that_it_starts_do_not_show_it(
    tmp_path: Path, store: tuple[Path, str], canary: bytes
) -> None:
    looked_for = matcher(canary, *key_of(tmp_path))
    agent = Agent(tmp_path, *store, program=SUPERVISOR)
    try:
        agent.reaches("typed")
        assert "agent:key {'key': SecretRef(CANARY)}" in agent.said
        assert f"got {len(canary)} letters" in agent.said
        assert not looked_for.search((agent.said + agent.stderr()).encode())
        # Of both programs one has read the secret and then become another; the guard is their parent.
        programs = [int(pid) for pid in agent.said.partition("programs ")[2].split()[:2]]
        for pid in (agent.process.pid, *programs, parent(programs[0])):
            assert hits(pid, looked_for) == []
    finally:
        agent.end()


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_a_core_dump_with_registers_does_not_show_it(tmp_path: Path, agent: Agent, canary: bytes) -> None:
    looked_for = matcher(canary, *key_of(tmp_path))
    pid = agent.process.pid
    for state in ("started", "held", "used", "open", "written"):
        agent.reaches(state)
        if state != "open" or secret_protection() == "secret-memory":
            found = looked_for.search(core(pid, tmp_path))
            assert found is None, (state, found)

    if os.uname().machine == "x86_64":
        for state in ("parent", "dropped", "register"):
            agent.reaches(state)
        assert hits(pid, looked_for) == []
        assert looked_for.search(core(pid, tmp_path)), "the search itself"


def test_the_search_knows_every_spelling(canary: bytes) -> None:
    looked_for = matcher(canary)
    for spelling in (
        canary,
        canary.hex().encode(),
        base64.b64encode(canary),
        base64.b64encode(b"Bearer " + canary),
        base64.b64encode(b"id:" + canary + b"@host"),
        canary.decode().encode("utf-16-le"),
        canary.decode().encode("utf-16-be"),
        canary[16:32],
    ):
        assert looked_for.search(b"some" + spelling + b"thing")
    assert not looked_for.search(os.urandom(1 << 20))
