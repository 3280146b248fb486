"""`talkpath audit`: verifies audit logs, and shows what they say."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from talkpath import audit
from talkpath.cli.console import console, print_json, refuse

app = typer.Typer(no_args_is_help=True, help="Verify and show audit logs.")

Files = Annotated[list[Path], typer.Argument(help="The live file of a log, or all of its files.", metavar="FILE...")]
EXIT_CODES = {"intact": 0, "broken": 1, "torn": 3}


@app.command("verify")
def verify(
    files: Files,
    key_file: Annotated[Path | None, typer.Option(help="A file with the key that the chain was made with.")] = None,
    head: Annotated[str | None, typer.Option(help="NUMBER:HASH as noted earlier, which must be in the log.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take a log whose first files are not there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Verify that a log is as it was written; with one FILE, the full files beside it, too.

    Exit codes: 0 intact, 1 broken, 2 asked wrongly, 3 intact but for an end as a crash leaves it, which the next writer
    of the log will tell of.
    """
    try:
        key = None if key_file is None else key_file.read_bytes()
        report = audit.verify(*files, key=key, partial=partial, head=head)
    except OSError as error:
        refuse(str(error))
    if as_json:
        print_json(asdict(report))
    for it in report.findings:
        word = {"intact": "note", "torn": "torn", "broken": "BROKEN"}[it.verdict]
        _say(f"{word}: {it.file}: record {it.record}, byte {it.offset}: {it.text}")
    extent = f"{report.records} records in {len(report.files)} files"
    end = "closed" if report.closed else "not closed"
    _say(f"{report.verdict}: {extent}, {end}, head {report.head or 'unknown'}")
    raise typer.Exit(EXIT_CODES[report.verdict])


@app.command("show")
def show(
    files: Files,
    key: Annotated[str | None, typer.Option("--type", help="Only records of this type, such as event.")] = None,
) -> None:
    """Print the records of FILE as lines of JSON. Nothing is verified."""
    wanted = None if key is None else f'"type":"{key}"'
    try:
        for line in audit.lines(*files):
            if wanted is None or wanted in line[:120]:
                sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain again when it closes what is broken.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        refuse(str(error))


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
