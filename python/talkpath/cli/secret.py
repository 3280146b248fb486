"""`talkpath secret`: secrets in an encrypted store; values come from a prompt or a pipe, never from an argument."""

import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from talkpath.cli.console import console, give_up, print_json, refuse
from talkpath.errors import TalkpathError
from talkpath.secret import SecretRef, SecretStore, is_hardened, read_env_file, secret_protection

app = typer.Typer(
    no_args_is_help=True,
    help="Keep secrets in an encrypted store. The key comes from where --key says, and nowhere else.",
)

_Store = Annotated[Path, typer.Option("--store", "-s", help="The store: an age file.", dir_okay=False)]
_Key = Annotated[
    str,
    typer.Option("--key", "-k", help="Where the store's key is: file:PATH, systemd:NAME, keyring:NAME, passphrase."),
]
_Keys = Annotated[
    list[str],
    typer.Option(
        "--key",
        "-k",
        help="Where the store's key is: file:PATH, systemd:NAME, keyring:NAME, passphrase. May be repeated.",
    ),
]
_Name = Annotated[str, typer.Argument(help="The secret's name.")]


@app.command()
def init(store: _Store, key: _Key) -> None:
    """Make an empty store and a new key."""
    made = SecretStore.create(store, source=key)
    console.print(f"made {made.path}, encrypted to {made.recipient}", soft_wrap=True)
    if key.startswith("file:"):
        console.print("[dim]keep a copy of the key elsewhere: without it the store cannot be opened[/]")


@app.command(name="set")
def set_(name: _Name, store: _Store, key: _Keys) -> None:
    """Add a secret; its value is asked for without echo, or read from a pipe."""
    SecretStore.open(store, source=key).set(name, _value(name))


@app.command()
def rotate(name: _Name, store: _Store, key: _Keys) -> None:
    """Replace a secret's value, asked for without echo or read from a pipe."""
    SecretStore.open(store, source=key).rotate(name, _value(name))


@app.command()
def delete(name: _Name, store: _Store, key: _Keys) -> None:
    """Take a secret out of the store."""
    SecretStore.open(store, source=key).delete(name)


@app.command()
def get(
    name: _Name,
    store: _Store,
    key: _Keys,
    show: Annotated[bool, typer.Option("--show", help="Write it even to a terminal.")] = False,
) -> None:
    """Write a secret to a pipe, or with --show to the terminal."""
    if os.isatty(1) and not show:
        refuse("standard output is a terminal, where a secret stays to be read; --show writes it there all the same")
    with SecretStore.open(store, source=key)[name].open() as view:
        rest = view
        while rest:
            rest = rest[os.write(1, rest) :]


@app.command(name="list")
def list_(store: _Store, key: _Keys) -> None:
    """List the secrets' names and times, as JSON."""
    print_json(
        [
            {
                "name": info.name,
                "created": _time(info.created),
                "rotated": None if info.rotated is None else _time(info.rotated),
            }
            for info in SecretStore.open(store, source=key).list()
        ]
    )


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file of NAME=value lines.", exists=True, dir_okay=False)],
    store: _Store,
    key: _Keys,
) -> None:
    """Move the secrets of a .env file into the store: all of them, or none if one is there already."""
    secrets = read_env_file(file)
    if not secrets:
        refuse(f"{file} holds no secret")
    SecretStore.open(store, source=key).set_all(secrets)
    console.print(f"imported {len(secrets)}: {', '.join(secret.name for secret in secrets)}", soft_wrap=True)
    console.print(f"[yellow]delete {file}: it holds them in plain[/]", soft_wrap=True)


@app.command()
def doctor(
    store: Annotated[Path | None, typer.Option("--store", "-s", help="The store to look at.", dir_okay=False)] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", "-k", help="Where the store's key is; each is tried by itself.")
    ] = None,
) -> None:
    """Say how well secrets are kept here: memory, core dumps, the store, each source of its key. JSON on stdout."""
    findings = [_memory(), _core_dumps()]
    if store is not None:
        findings += [_source(store, source) for source in key or []] or [
            _finding("store", "problem", "no --key was given")
        ]
        left = store.with_name(store.name + ".new")
        if left.exists():
            findings.append(_finding("store", "warning", f"{left} was left by a writer that was killed"))
    print_json(findings)
    for finding in findings:
        colour = {"good": "green", "warning": "yellow", "problem": "bold red"}[finding["verdict"]]
        console.print(f"[{colour}]{finding['verdict']}[/] ", f"{finding['what']}: {finding['says']}", soft_wrap=True)
    if any(finding["verdict"] == "problem" for finding in findings):
        give_up("there are problems")


def _value(name: str) -> SecretRef:
    if os.isatty(0):
        return SecretRef.from_prompt(f"{name}: ", name=name)
    return SecretRef.from_descriptor(sys.stdin.fileno(), name=name)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _finding(what: str, verdict: str, says: str) -> dict[str, Any]:
    return {"what": what, "verdict": verdict, "says": says}


def _memory() -> dict[str, Any]:
    protection = secret_protection()
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    locked = "any amount" if limit == resource.RLIM_INFINITY else f"{limit // 1024} KiB"
    says = {
        "secret-memory": "opened secrets are in secret memory, which no other process reads",
        "locked": "degraded: this kernel has no secret memory (memfd_secret); opened secrets are locked against swap, "
        "but a debugger reads them",
        "unlocked": f"degraded: no secret memory, and the limit of locked memory ({locked}) is reached: opened secrets "
        "may be swapped out, and a debugger reads them",
    }[protection]
    return _finding("memory", "good" if protection == "secret-memory" else "warning", says)


def _core_dumps() -> dict[str, Any]:
    if is_hardened():
        return _finding("core dumps", "good", "off, and so are debuggers")
    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0:
        return _finding(
            "core dumps", "good", "off by the limit of this shell; talkpath.harden() keeps debuggers away too"
        )
    return _finding(
        "core dumps", "warning", "on: sealed secrets are not in them, what a program copies is; see harden()"
    )


def _source(store: Path, source: str) -> dict[str, Any]:
    try:
        opened = SecretStore.open(store, source=source)
    except (TalkpathError, OSError) as error:
        return _finding("store", "problem", str(error))
    return _finding("store", "good", f"{opened.path} opens by {source} and holds {len(opened)} secrets")
