"""`talkpath serve`: answers calls with an agent until Ctrl-C."""

import asyncio
import json
import logging
import signal
import sys
from contextlib import suppress
from typing import Annotated, Literal

import typer
from rich.logging import RichHandler

from talkpath.cli.agent import find_agent
from talkpath.cli.console import console
from talkpath.server import DEFAULT_LISTEN, Handler, Options, Server


def serve(
    agent: Annotated[str, typer.Option(help="echo, parrot or MODULE:HANDLER.")] = "parrot",
    listen: Annotated[str, typer.Option(help="Where to take calls; port 0 takes a free one.")] = DEFAULT_LISTEN,
    max_calls: Annotated[int, typer.Option(min=1, help="Calls at a time; further ones are refused.")] = 4096,
    vad: Annotated[bool, typer.Option(help="Detect the caller's voice.")] = True,
    detector: Annotated[
        Literal["phone", "silero"], typer.Option(help="What detects it: phone costs half, silero misses less.")
    ] = "phone",
    playout: Annotated[
        str, typer.Option(help="When packets are heard: adaptive, adaptive:20-200ms, fixed:60ms, asap:40ms.")
    ] = "adaptive",
    echo_canceller: Annotated[
        Literal["auto", "on", "off"], typer.Option(help="Whether the agent's echo is taken out of what is heard.")
    ] = "auto",
    prebuffer: Annotated[
        float,
        typer.Option(min=0, max=400, help="Milliseconds of the agent's audio gathered before it plays, at first."),
    ] = 60,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running calls get to end.")] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on stdout when ready, one at the end.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every call's steps.")] = False,
) -> None:
    """Answer calls with an agent until Ctrl-C; a second Ctrl-C ends running calls at once."""
    handler = find_agent(agent)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(name)s: %(message)s",
        handlers=[RichHandler(console=console, show_path=False, rich_tracebacks=False)],
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    options = Options(
        max_calls=max_calls,
        vad=vad and detector,
        playout=playout,
        echo_canceller=echo_canceller,
        prebuffer_ms=prebuffer,
    )
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(handler, agent, listen, grace, as_json, options))


async def _serve(handler: Handler, name: str, listen: str, grace: float, as_json: bool, options: Options) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    server = Server(handler, listen, **options)
    async with server:
        if as_json:
            _say({"listening": server.address, "agent": name})
        console.print(f"[bold]{name}[/] answers calls on [bold]{server.address}[/]; Ctrl-C ends")
        try:
            await server.serve_forever()
        finally:
            await server.close(grace)
            if as_json:
                _say({"stopped": server.address, **server.stats()})


def _say(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
