"""`talkpath dialplan`: prints what to paste into Asterisk's extensions.conf."""

from typing import Annotated

import typer

from talkpath.cli.console import console

_PLAN = """\
[{context}]
exten => {extension},1,Answer()
 same => n,Set(CALL_UUID=${{UUID()}})
 same => n,{connect}
 same => n,Hangup()
"""


def dialplan(
    host: Annotated[str, typer.Option(help="Where talkpath serve listens, as Asterisk reaches it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8090,
    context: Annotated[str, typer.Option(help="The dialplan context.")] = "talkpath",
    extension: Annotated[str, typer.Option(help="The extension that people dial.")] = "s",
    wideband: Annotated[bool, typer.Option(help="Carry 16 kHz both ways instead of 8 kHz.")] = False,
) -> None:
    """Print the dialplan that connects Asterisk to talkpath."""
    connect = (
        f"Dial(AudioSocket/{host}:{port}/${{CALL_UUID}}/c(slin16),,g)"
        if wideband
        else f"AudioSocket(${{CALL_UUID}},{host}:{port})"
    )
    console.print("[dim]paste into extensions.conf, then: asterisk -rx 'dialplan reload'[/]")
    typer.echo(_PLAN.format(context=context, extension=extension, connect=connect), nl=False)
