"""Audit logs: append-only files in which every later change shows."""

import atexit
import contextlib
import json
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self

from talkpath import _talkpath
from talkpath._talkpath import AuditLines, Bus, SecretRef, audit_verify, know_secret, redact_text
from talkpath.errors import TalkpathError

StrPath = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Stats:
    """How a recording does."""

    events: int
    """How many events are in the file."""
    lost: int
    """How many were dropped, as the disk refused; the log says so, too."""
    waiting: int
    refusals: int
    """How often the disk refused."""
    stalled: str | None
    """Why it refuses now."""


class Audit(_talkpath.Audit):
    """Records a bus in an audit log, from now on: `with talkpath.Audit(bus, "audit.log"):`, or until `close()`.

    No event is lost on the way: while the disk is slow or full, publishers wait as for any lossless subscriber, unless
    `when_full="drop"` has events counted and dropped. Before anything is written secrets are taken out of it, by their
    names, their looks and their values; see `know_secret`.

    - `session`, `kind`: globs of what is recorded
    - `max_file_bytes`: how long a file grows before the log goes on in the next (64 MiB)
    - `sync`: how many seconds apart the disk is waited for (1), "every" write, or "when_full", only at a file's end
    - `key`: bytes or a SecretRef with which alone the chain can be made and verified
    - `capacity`, `capacity_bytes`: how many events may wait for the disk (65,536; 64 MiB)
    - `names`, `not_names`: more names whose values are secret, and some whose values are not
    - `patterns`: regular expressions of what is secret, whole or in a group named `secret`
    """

    def __init__(
        self,
        bus: Bus,
        path: StrPath,
        *,
        session: str = "*",
        kind: str = "*",
        max_file_bytes: int | None = None,
        sync: float | Literal["every", "when_full"] | None = None,
        key: bytes | SecretRef | None = None,
        when_full: Literal["wait", "drop"] = "wait",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        names: Sequence[str] | None = None,
        not_names: Sequence[str] | None = None,
        patterns: Sequence[str] | None = None,
    ) -> None:
        """What is given has been read by the core."""
        _open.add(self)

    def stats(self) -> Stats:
        """How it does."""
        return Stats(*self._stats())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_open: "weakref.WeakSet[Audit]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """What was published before the program's end is recorded."""
    for audit in list(_open):
        with contextlib.suppress(TalkpathError):
            audit.close()


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing that verifying found in a file."""

    verdict: Literal["intact", "torn", "broken"]
    """How bad it is; an intact one is for information, such as that a writer was killed."""
    file: str
    offset: int
    """Where in the file, in bytes."""
    record: int
    """Which record it is, or would be; 0 for the file's header."""
    text: str
    """What was found, in words."""


@dataclass(frozen=True, slots=True)
class File:
    """What one file of a log holds."""

    path: str
    number: int
    """Which file of the log it is, from 1; 0 if it is none."""
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a log holds, and what is wrong with it."""

    verdict: Literal["intact", "torn", "broken"]
    """Torn: intact, but for an end as a crash leaves it, which the next writer will tell of."""
    closed: bool
    """Whether its last writer closed it in order."""
    records: int
    first_record: int | None
    last_record: int | None
    head: str | None
    """The last record and its chain value: noted elsewhere, it shows later whether the end was cut off or rewritten."""
    files: tuple[File, ...]
    findings: tuple[Finding, ...]


def verify(
    *paths: StrPath, key: bytes | SecretRef | None = None, partial: bool = False, head: str | None = None
) -> Report:
    """Verifies a log, given as its live file (those before it are found beside it) or as all of its files.

    `key` is what its chain was made with, if it was. `partial` takes a log whose first files are not given. `head` is a
    `Report.head` or `Audit.head` of earlier, which must be in the log.
    """
    report: dict[str, Any] = json.loads(audit_verify(paths, key=key, partial=partial, head=head))
    report["files"] = tuple(File(**file) for file in report["files"])
    report["findings"] = tuple(Finding(**finding) for finding in report["findings"])
    return Report(**report)


def lines(*paths: StrPath) -> Iterator[str]:
    """The records of files of a log, each as a line of JSON; what cannot be read is one, too. Nothing is verified."""
    for path in paths:
        reader = AuditLines(path)
        while batch := reader.next_lines(_BATCH):
            yield from batch


def records(*paths: StrPath) -> Iterator[dict[str, Any]]:
    """The same as `lines`, read from JSON."""
    return map(json.loads, lines(*paths))


_BATCH = 1000

__all__ = [
    "Audit",
    "File",
    "Finding",
    "Report",
    "Stats",
    "know_secret",
    "lines",
    "records",
    "redact_text",
    "verify",
]
