"""Agents: processes with a bus and a bridge of their own, told what to do by line and answering by line, in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import json, sys, threading
import talkpath

url, options = sys.argv[1], json.loads(sys.argv[2])
bus = talkpath.EventBus.instance()
events = []
everything = bus.subscribe("*", "*", policy="lossless", capacity=1_000_000, capacity_bytes=1 << 30)

def keep():
    for event in everything:
        events.append([event.session, event.kind, event.data, event.origin])

threading.Thread(target=keep, daemon=True).start()
bridge = bus.bridge_nats(url, **options)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    if name == "publish":
        session, first, last = arguments
        for number in range(first, last + 1):
            bus.publish(session, "test:tick", number)
        answer = None
    elif name == "events":
        answer = list(events)
    elif name == "stats":
        it = bridge.stats()
        answer = {field: getattr(it, field) for field in it.__slots__}
    elif name == "origin":
        answer = bridge.origin
    else:
        answer = getattr(bridge, name)(*arguments)
    print(json.dumps(answer), flush=True)
"""


class Agent:
    """A process with a bridge to `url`."""

    def __init__(self, url: str, options: dict[str, object]) -> None:
        command = [sys.executable, "-c", PROGRAM, url, json.dumps(options)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str, *arguments: object) -> Any:
        """Has it do something, and returns the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the agent ended with {self._process.wait(20)} at {name}")
        return json.loads(line)

    def ticks(self, session: str) -> list[int]:
        """The numbers that it has from another process, in the order in which they came."""
        events = self.ask("events")
        return [data for of, kind, data, origin in events if (of, kind) == (session, "test:tick") and origin]

    def gaps(self, origin: str) -> list[tuple[int, int]]:
        """Which of another process's events it says are missing."""
        events = self.ask("events")
        said = [data for _, kind, data, _ in events if kind == "nats:gap" and data["origin"] == origin]
        assert all(it["count"] == it["last"] - it["first"] + 1 for it in said)
        return [(it["first"], it["last"]) for it in said]

    def kill(self) -> None:
        """Ends it at once, with SIGKILL."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
