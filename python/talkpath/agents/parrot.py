"""parrot: listens until you stop, says it back, and falls silent when you speak. The smallest agent with manners."""

import asyncio

from talkpath.events import SpeechStopped
from talkpath.session import Session

_LONGEST_MS = 60_000


async def parrot(session: Session) -> None:
    """Repeats each utterance of a call; the core interrupts it when the caller speaks."""
    session.barge_in = True
    heard: list[bytes] = []

    async def listen() -> None:
        held_ms = 0.0
        async for frame in session.input(speech_only=True):
            if not heard:
                held_ms = 0.0
            if held_ms < _LONGEST_MS:
                heard.append(frame.bytes())
                held_ms += frame.duration_ms

    listening = asyncio.create_task(listen())
    try:
        turn = 0
        async for event in session.events():
            if isinstance(event, SpeechStopped):
                turn += 1
                utterance = b"".join(heard)
                heard.clear()
                await session.output.write(utterance, rate=session.wire_rate, tag=f"turn-{turn}")
                session.output.finish()
    finally:
        listening.cancel()
