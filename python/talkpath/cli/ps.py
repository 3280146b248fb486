"""`talkpath ps`: what this user's agents have running now."""

import time
from typing import Annotated

import typer
from rich.table import Table

from talkpath import _talkpath
from talkpath.cli.console import console, print_json


def ps(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON on stdout.")] = False,
) -> None:
    """List the processes that this user's running agents have started.

    Of a command it shows the program and how many arguments it has: any of them may be a secret.
    """
    now = time.time()
    found = [
        (agent, process_id, pid, max(0.0, now - started_at), title)
        for agent, processes in _talkpath.running_agents()
        for process_id, pid, started_at, title in processes
    ]
    if as_json:
        names = ("agent", "id", "pid", "age_s", "command")
        print_json([dict(zip(names, row, strict=True)) for row in found])
        return
    if not found:
        console.print("no agent of yours has a process running")
        return
    table = Table("ID", box=None, pad_edge=False, header_style="bold")
    for heading in ("PID", "AGE", "AGENT"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("COMMAND")
    for agent, process_id, pid, seconds, title in found:
        table.add_row(process_id, str(pid), age(seconds), str(agent), title)
    console.print(table)


def age(seconds: float) -> str:
    """A length of time as people read it: 7s, 4m05s, 3h02m, 5d04h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
