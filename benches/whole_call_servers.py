"""The servers that the benches of whole calls compare: talkpath, and asyncio with audioop as one would write it lean.

Each runs in a process of its own, started by `Running`; both run the same agent, which is given here once:

- `speak`: says one long burst of speech, as a provider hands it over;
- `echo`: takes 16 kHz and says it back, so that each frame is resampled twice;
- either of them may also keep the interpreter busy: `hold` keeps the GIL in a call into C, `compute` loops in Python.

The asyncio server is no straw man: one `asyncio.Protocol` a call, absolute deadlines, one write a frame, no queue but a
deque, and nothing else in the process. It needs CPython's audioop: Python 3.11 or 3.12, or the package audioop-lts.
"""

import argparse
import asyncio
import collections
import ctypes
import math
import socket
import struct
import subprocess
import sys
import warnings
from pathlib import Path

FRAME_S = 0.020
FRAME_BYTES = 320
TONE = struct.pack("<80h", *(round(8000 * math.sin(2 * math.pi * n / 8)) for n in range(80)))
"""10 ms of 1 kHz at 8 kHz: whole periods, so that it joins with itself, and no frame of it is silent."""


class Running:
    """A server in a process of its own; a context manager that ends it."""

    def __init__(self, server: str, agent: str, *options: str) -> None:
        self._command = [sys.executable, __file__, server, agent, *options]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[2]} did not start")
        self.port = int(line)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def cpu_s(self) -> float:
        """Returns the processor time that the server has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def memory_bytes(self) -> int:
        """Returns the memory that is resident."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * 4096


async def busy(hold_s: float, compute_s: float, pause_s: float) -> None:
    """Keeps the interpreter from everything else for a while, again and again."""
    # A PyDLL, unlike a CDLL, does not let go of the GIL while C code runs.
    c = ctypes.PyDLL(None)
    loop = asyncio.get_running_loop()
    while hold_s or compute_s:
        await asyncio.sleep(pause_s)
        if hold_s:
            c.usleep(int(hold_s * 1e6))
        until = loop.time() + compute_s
        while loop.time() < until:
            pass


async def serve_talkpath(options: argparse.Namespace) -> None:
    """Serves with talkpath."""
    import talkpath

    async def speak(session: talkpath.Session) -> None:
        await session.output.write(TONE * 100 * options.seconds, rate=8000)
        await session.output.drain()

    async def echo(session: talkpath.Session) -> None:
        session.barge_in = False
        async for frame in session.input(rate=16000):
            session.output.try_write(frame)

    handler = {"speak": speak, "echo": echo}[options.agent]
    async with talkpath.Server(handler, "audiosocket://127.0.0.1:0", max_calls=8192, vad=options.vad) as server:
        print(server.address.rpartition(":")[2], flush=True)
        await asyncio.gather(server.serve_forever(), busy(options.hold, options.compute, options.pause))


async def serve_asyncio(options: argparse.Namespace) -> None:
    """Serves with asyncio and audioop alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop

    loop = asyncio.get_running_loop()
    silence = bytes(FRAME_BYTES)

    class Call(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.transport, self.data, self.up, self.down, self.level = transport, b"", None, None, 0
            self.out: collections.deque[bytes] = collections.deque()
            if options.agent == "speak":
                self.out.extend([TONE * 2] * (50 * options.seconds))
            self.due = loop.time()
            self.timer = loop.call_at(self.due, self.tick)

        def connection_lost(self, _: Exception | None) -> None:
            self.timer.cancel()

        def tick(self) -> None:
            frame = self.out.popleft() if self.out else silence
            self.transport.write(b"\x10" + len(frame).to_bytes(2, "big") + frame)
            self.due += FRAME_S
            self.timer = loop.call_at(self.due, self.tick)

        def data_received(self, data: bytes) -> None:
            data = self.data + data if self.data else data
            at = 0
            while len(data) >= at + 3 and len(data) >= (end := at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")):
                if data[at] == 0x10 and options.agent == "echo":
                    wide, self.up = audioop.ratecv(data[at + 3 : end], 2, 1, 8000, 16000, self.up)
                    self.level = audioop.rms(wide, 2)
                    narrow, self.down = audioop.ratecv(wide, 2, 1, 16000, 8000, self.down)
                    self.out.append(narrow)
                at = end
            self.data = data[at:]

    server = await loop.create_server(Call, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(server.serve_forever(), busy(options.hold, options.compute, options.pause))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", choices=["talkpath", "asyncio"])
    parser.add_argument("agent", choices=["speak", "echo"])
    parser.add_argument("--seconds", type=int, default=60, help="how much speech `speak` has")
    parser.add_argument("--hold", type=float, default=0, help="seconds to hold the GIL at a time")
    parser.add_argument("--compute", type=float, default=0, help="seconds to compute in Python at a time")
    parser.add_argument("--pause", type=float, default=1, help="seconds between")
    parser.add_argument("--vad", action="store_true", help="whether talkpath detects voices, which asyncio does not")
    options = parser.parse_args()
    serve = {"talkpath": serve_talkpath, "asyncio": serve_asyncio}[options.server]
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
