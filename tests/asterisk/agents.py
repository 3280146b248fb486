"""Agents that the tests have `talkpath serve` run: a built-in one watched, and one that hangs up.

As a program it takes an agent and a WebSocket's address, and calls out for one call.

Each event of a call becomes one JSON line on standard output, so that a test knows what the agent knew and when.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
import sys
from dataclasses import asdict

import talkpath
from talkpath.agents import echo, parrot


async def watched_echo(session: talkpath.Session) -> None:
    """The echo, watched."""
    await _watch(session, echo)


async def watched_parrot(session: talkpath.Session) -> None:
    """The parrot, watched."""
    await _watch(session, parrot)


async def echo_keys(session: talkpath.Session) -> None:
    """Presses every key that the caller has pressed."""
    async for event in session.events():
        _tell(session, event)
        if isinstance(event, talkpath.Dtmf):
            session.output.send_dtmf(event.digit)


async def watched_tone(session: talkpath.Session) -> None:
    """Says ten seconds of a tone, watched: no frame of it is silent, so what of it was heard can be counted."""
    await _watch(session, _tone)


async def hang_up_on_speech(session: talkpath.Session) -> None:
    """Hangs up as soon as the caller speaks."""
    async for event in session.events():
        _tell(session, event)
        if isinstance(event, talkpath.SpeechStarted):
            await session.hangup(after_drain=False)


async def _tone(session: talkpath.Session) -> None:
    samples = (round(9000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(10 * 8000))
    await session.output.write(array.array("h", samples), rate=8000, tag="tone")
    async for _ in session.input():
        pass


async def _watch(session: talkpath.Session, agent: talkpath.Handler) -> None:
    events = session.events()

    async def watch() -> None:
        async for event in events:
            _tell(session, event)

    watching = asyncio.create_task(watch())
    await agent(session)
    await watching


def _tell(session: talkpath.Session, event: talkpath.Event) -> None:
    line = {"call": session.id, "event": type(event).__name__, **asdict(event)}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(talkpath.connect(globals()[sys.argv[1]], sys.argv[2]))
