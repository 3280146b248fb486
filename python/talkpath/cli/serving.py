"""A `talkpath serve` process of one's own, for commands that measure: what it costs is its own, not the measurer's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def serving(agent: str, *options: str) -> Iterator[Serving]:
    """Runs `talkpath serve` on a free port until the block ends."""
    command = [
        sys.executable,
        "-m",
        "talkpath",
        "serve",
        "--agent",
        agent,
        "--listen",
        "127.0.0.1:0",
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
