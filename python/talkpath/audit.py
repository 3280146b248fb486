"""Audit logs: append-only files in which every later change shows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

from talkpath._talkpath import AuditLines, audit_verify

StrPath = str | PathLike[str]


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


def verify(*paths: StrPath, key: bytes | None = None, partial: bool = False, head: str | None = None) -> Report:
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

__all__ = ["File", "Finding", "Report", "lines", "records", "verify"]
