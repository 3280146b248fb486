"""echo: says back at once whatever it hears, sample by sample. For measuring the path, and for testing a line."""

from talkpath.session import Session


async def echo(session: Session) -> None:
    """Echoes a call."""
    # The caller talks all the time that the agent does: that is no interruption here.
    session.barge_in = False
    output = session.output
    async for frame in session.input():
        output.try_write(frame)
