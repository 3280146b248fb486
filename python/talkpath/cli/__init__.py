"""The command line: one file a command. What a program may want goes to stdout as JSON, words for people to stderr.

Exit codes: 0 it went well, 1 it ran and failed, 2 it was asked wrongly.
"""

import sys
from typing import Annotated

import typer

from talkpath import __version__
from talkpath.cli import audit, call, config, demo, dialplan, load, ps, run, secret, serve, simulate
from talkpath.cli.console import fail
from talkpath.errors import InvalidArgument, TalkpathError

app = typer.Typer(
    name="talkpath",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The voice path of a phone call: serve agents, place calls, measure.",
)
app.command("serve")(serve.serve)
app.command("call")(call.call)
app.command("demo")(demo.demo)
app.command("load")(load.load)
app.command("simulate")(simulate.simulate)
app.command("dialplan")(dialplan.dialplan)
app.command("config")(config.config)
app.command("run", context_settings={"allow_interspersed_args": False})(run.run)
app.command("ps")(ps.ps)
app.add_typer(audit.app, name="audit")
app.add_typer(secret.app, name="secret")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"talkpath {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; an error is one line, not a traceback."""
    try:
        app()
    except InvalidArgument as error:
        sys.exit(fail(str(error), code=2))
    except (TalkpathError, OSError) as error:
        sys.exit(fail(str(error)))
