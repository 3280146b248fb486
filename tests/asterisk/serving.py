"""Runs `talkpath serve` as a user would, in a process of its own, and collects what it says on standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from speech import RanDry

WAIT_LIMIT_S = 30.0


class Serving:
    """A running `talkpath serve`; a context manager that stops it."""

    def __init__(self, agent: str, listen: str = "audiosocket://127.0.0.1:0") -> None:
        self._agent = agent
        self._listen = listen
        self._lines: list[dict[str, Any]] = []
        self._finished = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        here = str(Path(__file__).parent)
        command = [sys.executable, "-m", "talkpath", "serve", "--agent", self._agent, "--json"]
        self._process = subprocess.Popen(
            [*command, "--listen", self._listen, "--grace", "1"],
            cwd=here,
            env=os.environ | {"PYTHONPATH": here, "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = int(self._wait_for(lambda line: "listening" in line)["listening"].rpartition(":")[2])
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(WAIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join()
        if self._process.returncode != 0:
            raise RuntimeError(f"talkpath serve exited with {self._process.returncode}")

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """Waits for an event of a watched agent and returns its line."""
        wanted = {"event": event} | fields
        return self._wait_for(lambda line: wanted.items() <= line.items())

    def events(self, event: str) -> list[dict[str, Any]]:
        """Returns the lines of all such events so far."""
        with self._changed:
            return [line for line in self._lines if line.get("event") == event]

    def check_never_dry(self) -> None:
        """Raises `RanDry` where a call of a watched agent had a gap."""
        if gaps := self.events("Underrun"):
            raise RanDry(f"{len(gaps)} gaps: {gaps[-1]}")

    def _wait_for(self, wanted: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((line for line in self._lines if wanted(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._finished, WAIT_LIMIT_S)
            line = found()
            if line is None:
                raise TimeoutError(f"talkpath serve did not say what was awaited, only {self._lines[-10:]}")
            return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for text in output:
                with self._changed:
                    self._lines.append(json.loads(text))
                    self._changed.notify_all()
        with self._changed:
            self._finished = True
            self._changed.notify_all()
