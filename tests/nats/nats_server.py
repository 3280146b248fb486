"""A nats-server of a test's own, that can be killed and started again on its port, with what its streams hold."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 20


class NatsServer:
    """A server on loopback, with JetStream in `folder`."""

    def __init__(self, command: Sequence[str], folder: Path, arguments: Sequence[str] = ()) -> None:
        folder.mkdir()
        self._log = folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        here = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(folder / "streams")]
        self._command = [*command, *here, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    if connection.recv(5) == b"INFO ":
                        return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"nats-server does not answer:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Ends it at once, with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
