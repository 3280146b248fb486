"""A `talkpath serve` process of one's own, for commands that measure: what it costs is its own, not the measurer's."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from talkpath.errors import TalkpathOSError


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server process."""

    pid: int
    address: str

    def cpu_s(self) -> float:
        """Processor seconds that it has used, in user and kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Memory that is resident and its own or shared, without what is mapped from files."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0


def free_rtp_ports(calls: int) -> str:
    """An address for so many calls over RTP at once: a range of ports of which none is taken now."""
    for _ in range(100):
        # What the system hands out comes from above; a range below it stays free.
        first = random.randrange(10_000, 32_000 - 2 * calls, 2) if calls < 10_000 else 10_000
        last = first + 2 * calls - 1
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, last + 1):
                taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                taken.bind(("127.0.0.1", port))
            return f"rtp://127.0.0.1:{first}-{last}"
    raise TalkpathOSError(f"no {2 * calls} UDP ports in a row are free")


@contextmanager
def serving(agent: str, *options: str, listen: str = "127.0.0.1:0") -> Iterator[Serving]:
    """Runs `talkpath serve`, on a free port by default, until the block ends."""
    command = [
        sys.executable,
        "-m",
        "talkpath",
        "serve",
        "--agent",
        agent,
        "--listen",
        listen,
        "--json",
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                assert process.stderr is not None
                said = process.stderr.read().strip()
                raise TalkpathOSError(
                    f"the server did not start: {said.splitlines()[-1] if said else 'it said nothing'}"
                )
            yield Serving(process.pid, json.loads(line)["listening"])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
