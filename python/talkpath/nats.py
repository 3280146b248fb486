"""Joins the event buses of many processes over NATS: what one publishes, the others' subscribers get.

    with talkpath.NatsBridge(bus, "nats://127.0.0.1:4222") as bridge:
        ...

docs/nats.md has the subjects, the headers, and what is guaranteed. In a build without the feature `nats` making a
bridge raises `InvalidArgument`.
"""

import atexit
import contextlib
import weakref
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Self

from talkpath import _talkpath
from talkpath._talkpath import Bus, SecretRef
from talkpath.errors import TalkpathError

StrPath = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Stats:
    """How a bridge does."""

    connected: bool
    connections: int
    """How often it has connected."""
    last_error: str | None
    """Why it is not connected, or was not last."""
    sent: int
    """How many events have arrived at the server, as far as is known."""
    waiting: int
    """How many events wait, or are under way."""
    dropped: int
    """How many were dropped here: there was no room while the server was away, or they were too long."""
    too_long: int
    """How many of these were longer than the server takes."""
    received: int
    """How many events of others were published here."""
    repeated: int
    """How many came twice, and were passed over."""
    missing: int
    """How many events of others are missing: lost on the way, or dropped where they came from."""


class NatsBridge(_talkpath.NatsBridge):
    """Joins `bus` to NATS at `servers`, from now on; it connects in its own time, and again whenever it must.

    What is published in this process is sent, what others published is published here, with their name as
    `Event.origin`. On the bus, under session `talkpath`, it says `nats:connected`, `nats:disconnected`, `nats:gap`
    (events of others are missing: origin, count, first, last) and `nats:too_long`.

    - `send`, `receive`, `session`: globs of the kinds that are sent and received, and of the sessions; None: none
    - `stream`, `durable`: has events go by this JetStream stream, and be read by this durable consumer: nothing is
      lost that the stream keeps, and publishers wait while it cannot be reached and `capacity` is used up. The stream
      is made if there is none. `from_start`: a consumer that is new begins with what is in the stream
    - `token`, `user` and `password`, `nkey` (a seed), `credentials` (a file of NATS's tools, or a SecretRef with its
      contents): whom it is; secrets are SecretRefs
    - `tls`, `root_certificates`, `client_certificate` (certificate and key): files in PEM. `tls://` needs no `tls=True`
    - `capacity`, `capacity_bytes`: how much may wait while the server is away (65,536 events; 64 MiB)
    - `prefix`: what subjects begin with, `name`: what it is called, `max_backoff_s`: between two attempts (5)
    """

    def __new__(
        cls,
        bus: Bus,
        *servers: str,
        name: str = "talkpath",
        prefix: str = "talkpath",
        send: str | None = "*",
        receive: str | None = "*",
        session: str = "*",
        stream: str | None = None,
        durable: str | None = None,
        from_start: bool = False,
        token: SecretRef | None = None,
        user: str | None = None,
        password: SecretRef | None = None,
        nkey: SecretRef | None = None,
        credentials: StrPath | SecretRef | None = None,
        tls: bool = False,
        root_certificates: StrPath | None = None,
        client_certificate: tuple[StrPath, StrPath] | None = None,
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        max_backoff_s: float | None = None,
    ) -> Self:
        bridge = super().__new__(
            cls,
            bus,
            servers,
            name=name,
            prefix=prefix,
            send=send,
            receive=receive,
            session=session,
            stream=stream,
            durable=durable,
            from_start=from_start,
            token=token,
            user=user,
            password=password,
            nkey=nkey,
            credentials=credentials,
            tls=tls,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            max_backoff_s=max_backoff_s,
        )
        _open.add(bridge)
        return bridge

    def stats(self) -> Stats:
        """How it does."""
        return Stats(*self._stats())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_open: "weakref.WeakSet[NatsBridge]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """What was published before the program's end is sent, if the server is there."""
    for bridge in list(_open):
        with contextlib.suppress(TalkpathError):
            bridge.close(1.0)


__all__ = ["NatsBridge", "Stats"]
