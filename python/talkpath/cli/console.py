"""Where words go: people read stderr, programs read stdout."""

import json
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(stderr=True, highlight=False)


def fail(message: str, *, code: int = 1) -> int:
    """Says in one line what went wrong, and returns the exit code."""
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return code


def refuse(message: str) -> NoReturn:
    """Ends the program for a wrong argument: exit code 2."""
    fail(message, code=2)
    raise typer.Exit(2)


def give_up(message: str) -> NoReturn:
    """Ends the program for a run that failed: exit code 1."""
    fail(message)
    raise typer.Exit(1)


def print_json(value: Any) -> None:
    """Prints one JSON document to stdout."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    sys.stdout.flush()
