"""Runs agents as a user would, in a process of their own, and collects what they say on standard output.

`Serving` is `talkpath serve`; `Calling` is a program that calls out for one call, with `talkpath.connect`.
"""

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


class Program:
    """A running program whose standard output is lines of JSON; a context manager that ends it."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._lines: list[dict[str, Any]] = []
        self._finished = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        here = str(Path(__file__).parent)
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            cwd=here,
            env=os.environ | {"PYTHONPATH": here, "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        try:
            self._process.wait(WAIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join()
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._arguments} exited with {self._process.returncode}")

    def _end(self) -> None:
        """Asks the program to end, where it does not by itself."""

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
                raise TimeoutError(f"{self._arguments} did not say what was awaited, only {self._lines[-10:]}")
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


class Serving(Program):
    """A running `talkpath serve`."""

    def __init__(self, agent: str, listen: str = "audiosocket://127.0.0.1:0", *options: str) -> None:
        command = ("talkpath", "serve", "--agent", agent, "--json", "--listen", listen, "--grace", "1")
        super().__init__("-m", *command, *options)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.port = int(self._wait_for(lambda line: "listening" in line)["listening"].rpartition(":")[2])
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)


class Calling(Program):
    """A program that calls out for one call, and ends with it; `agent` is a function of the module `agents`."""

    def __init__(self, agent: str, url: str) -> None:
        super().__init__("-m", "agents", agent, url)
