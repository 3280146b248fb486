"""Serving calls: one handler a call, on the running event loop; the audio itself flows in the core's own threads.

The core wakes the loop through one file descriptor, once a batch: however many calls have frames or events, one wake-up
hands them all over.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, Unpack

from talkpath import _talkpath
from talkpath.bus import EventBus
from talkpath.errors import SessionEnded
from talkpath.session import Session

Handler: TypeAlias = Callable[[Session], Awaitable[None]]

DEFAULT_LISTEN = "audiosocket://127.0.0.1:8090"

_logger = logging.getLogger("talkpath.session")


class Options(TypedDict, total=False):
    """What can be set of a server; what is left out keeps the core's default, given in brackets."""

    max_calls: int
    """Calls at a time; further ones are refused."""
    max_pending: int
    """Connections that have not yet said which call they are."""
    payload_types: dict[int, str | None]
    """Over RTP, what numbers stand for that both sides agreed upon: Asterisk's names of formats, or SDP's ("slin16",
    "L16/16000", "opus", "telephone-event"); None takes a number's meaning away. They are put over Asterisk's own.

    Asterisk's externalMedia agrees upon nothing. It hears only ulaw, alaw, G.722 and slin at 8 kHz, so slin16 is
    answered in G.722, and keys go over ARI; `{101: None}` makes `send_dtmf` play tones."""
    handshake_timeout_s: float
    """How long such a connection may take."""
    idle_timeout_s: float
    """How long a peer may be silent before its call ends."""
    media_threads: int
    """Threads that carry audio."""
    realtime_priority: bool
    """Whether they ask the system for real-time priority."""
    ptime_ms: float
    """The packet time (20)."""
    codec: str
    """What is sent: "ulaw", "alaw", "g722" or "opus" over RTP, "slin" anywhere (what the peer sends)."""
    output_rate: int
    """Samples a second of what is sent in linear samples (what the peer sends)."""
    playout: str
    """When packets are heard: "adaptive" ("adaptive:20-200ms" with its limits), "fixed:60ms", or for a listener without
    a playout clock "asap:40ms", at once but for a gap, that long ("adaptive")."""
    prebuffer_ms: float
    """How much audio is gathered before playout starts, at first (60)."""
    prebuffer_max_ms: float
    """The most that underruns may raise it to (400)."""
    input_buffer_ms: float
    """How much heard audio waits for a handler that does not read (5,000)."""
    output_limit_bytes: int
    """How much may wait for playout before `write` waits (10 MiB)."""
    vad: bool | Literal["phone", "silero"]
    """Whether voice activity is detected, or by which detector (True: `phone`, the cheaper; `silero` misses less)."""
    vad_sensitivity: float
    """0, hears only clear speech, to 1, hears the faintest (0.5)."""
    vad_min_speech_ms: float
    """How much voice makes an onset (60)."""
    vad_hangover_ms: float
    """How long a pause ends speech (300)."""
    vad_look_back_ms: float
    """How much before an onset still reaches a `speech_only` reader (200)."""
    barge_in: bool
    """Whether the core interrupts the agent when the caller speaks (True); `Session.barge_in` sets it for one call."""
    barge_in_min_speech_ms: float
    """How much voice, louder than the agent's echo, makes an interruption (60)."""
    barge_in_protection_ms: float
    """How long the agent cannot be interrupted after its first frame (200)."""
    barge_in_cooldown_ms: float
    """How long after an interruption none follows (500)."""
    echo_guard: bool
    """Whether the agent's own echo raises the level that an interruption needs (True)."""
    echo_canceller: Literal["auto", "on", "off"]
    """When the agent's own voice is taken out of what is heard: "auto" where the line sends it back, "on" for good from
    the first sign of it, "off" never ("auto")."""


class Server:
    """Serves calls while it is entered: `async with talkpath.Server(handler) as server:`."""

    def __init__(
        self,
        handler: Handler,
        listen: str | None = DEFAULT_LISTEN,
        *,
        bus: EventBus | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Prepares a server that listens on `listen`; where that is None, it only makes calls: see `connect`.

        With a `bus`, every event of every call is published there, whatever the handlers and the loop do: session and
        kind are the call's id and `session:<event>`, as in `session:speech_started`; data is a dict of the event's
        fields.
        """
        self._bus = bus
        self._handler = handler
        self._listen = None if listen is None else _talkpath.resolve_listen(listen)
        self._options: Mapping[str, Any] = dict(options)
        self._core: _talkpath.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions: dict[int, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: dict[int, asyncio.Future[Session]] = {}
        self._expected: dict[str, asyncio.Future[Session]] = {}
        self._stopped: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        if self._core is not None:
            raise RuntimeError("the server was entered before, wanted a new one")
        self._loop = asyncio.get_running_loop()
        self._core = _talkpath.Server(self._listen, self._bus, **self._options)
        self._stopped = self._loop.create_future()
        self._loop.add_reader(self._core.fileno(), self._take_news)
        # What the core said before there was a reader.
        self._take_news()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def address(self) -> str:
        """Where the server listens: host:port, or all of rtp://host:first-last; real ports where 0 was asked for."""
        return self._entered().address

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The calls that run now."""
        return tuple(self._sessions.values())

    def expect(self, call_id: str, within_s: float = 30.0) -> str:
        """Keeps a port for a call over RTP, and returns where its far end is to send to, host:port.

        RTP does not say which call it brings. Whoever sends audio to this port first, within `within_s` seconds,
        becomes the session whose `id` is `call_id` (a UUID), so that a program over ARI knows its own channel:
        `external_host=server.expect(call_id)`. Raises `ValueError` if the server does not listen on `rtp://`, or a
        call has this id already, and `LimitExceeded` if no port is free.

        Nothing in RTP tells Asterisk that the agent has hung up: delete the channel once the session is over.
        """
        return self._entered().expect(call_id, within_s)

    def stats(self) -> dict[str, Any]:
        """The server's counters now."""
        return self._entered().stats()

    async def connect(self, url: str) -> Session:
        """Calls out: connects to a channel of Asterisk's that waits for it, and returns the call's session.

        `url` is `ws://host:port/media/<id>`, with the id that Asterisk gave the channel (its variable
        MEDIA_WEBSOCKET_CONNECTION_ID); `user:password@` may stand before the host. The handler gets the call as it gets
        any other. The server must listen on `ws://`, or nowhere. Raises OSError where nobody answers, ConnectionError
        where it is no such channel, TimeoutError after `handshake_timeout_s`. An attempt that is cancelled goes on.
        """
        core, loop = self._entered(), asyncio.get_running_loop()
        target = await loop.run_in_executor(None, _talkpath.Target, url)
        begun: asyncio.Future[Session] = loop.create_future()
        self._attempts[core.connect(target)] = begun
        return await asyncio.shield(begun)

    async def serve_forever(self) -> None:
        """Waits until the server is closed, or this is cancelled."""
        self._entered()
        assert self._stopped is not None
        await asyncio.shield(self._stopped)

    async def close(self, grace_s: float = 5.0) -> None:
        """Takes no more calls, lets those there are end within `grace_s` seconds, then ends them."""
        if self._core is None or self._loop is None or self._stopped is None or self._stopped.done():
            return
        core, loop = self._core, self._loop
        core.stop(grace_s)
        try:
            await asyncio.shield(self._stopped)
            # The calls are over; their handlers know it and may still have something to finish.
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=grace_s)
        finally:
            loop.remove_reader(core.fileno())
            core.stop(0)
            for task in self._tasks:
                task.cancel()
            if not self._stopped.done():
                self._stopped.set_result(None)
            for begun in [*self._attempts.values(), *self._expected.values()]:
                self._decide(begun, SessionEnded("the server is closed"))
            self._attempts.clear()
            self._expected.clear()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=1)

    def _entered(self) -> _talkpath.Server:
        if self._core is None:
            raise RuntimeError("the server is not running, wanted one inside its async with")
        return self._core

    def _take_news(self) -> None:
        core = self._core
        assert core is not None
        calls, keys, records, outcomes = core.poll()
        # First, so that it is known who waits for a call that begins.
        for attempt, outcome in outcomes:
            self._decide(self._attempts.pop(attempt), outcome)
        for call in calls:
            self._begin(call)
        for key in keys:
            session = self._sessions.get(key)
            if session is not None:
                self._wake(session)
        for name, level, message in records:
            logging.getLogger(name).log(level, "%s", message)
        if core.is_stopped() and self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    def _decide(self, begun: "asyncio.Future[Session]", outcome: str | Exception) -> None:
        if isinstance(outcome, str):
            self._expected[outcome] = begun
        else:
            begun.set_exception(outcome)
            # Nobody need wait for it any more.
            begun.exception()

    def _begin(self, call: _talkpath.Call) -> None:
        assert self._loop is not None
        session = Session(call, self._loop)
        self._sessions[call.key] = session
        task = self._loop.create_task(self._run(session, call.key), name=f"talkpath-{session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if (begun := self._expected.pop(session.id, None)) is not None:
            begun.set_result(session)
        # News that came before the session was known here.
        self._wake(session)

    def _wake(self, session: Session) -> None:
        try:
            session.wake()
        except Exception:
            # One call's defect must not keep the rest of the batch from its news.
            _logger.exception("call %s: cannot take its news", session.id)
            session.abandon()

    async def _run(self, session: Session, key: int) -> None:
        try:
            await self._handler(session)
            await session.hangup(after_drain=True)
        except SessionEnded as error:
            if session.end_reason is None:
                _logger.exception("call %s: the handler failed", session.id)
            else:
                # A handler that was still speaking when the caller hung up: the usual end of a call.
                _logger.debug("call %s: the handler stopped: %s", session.id, error)
        except Exception:
            _logger.exception("call %s: the handler failed", session.id)
        finally:
            session.abandon()
            self._sessions.pop(key, None)


async def serve(
    handler: Handler, listen: str = DEFAULT_LISTEN, *, bus: EventBus | None = None, **options: Unpack[Options]
) -> None:
    """Serves calls until it is cancelled; then lets running calls end within five seconds."""
    async with Server(handler, listen, bus=bus, **options) as server:
        await server.serve_forever()


async def connect(handler: Handler, url: str, *, bus: EventBus | None = None, **options: Unpack[Options]) -> None:
    """Carries one call to a channel of Asterisk's that waits for it (see `Server.connect`), up to the end of the call.

    `handler` gets it as it gets any call of a server's.
    """
    async with Server(handler, None, bus=bus, **options) as server:
        await server.connect(url)
        if server._tasks:
            await asyncio.wait(server._tasks)


def run(
    handler: Handler, listen: str = DEFAULT_LISTEN, *, bus: EventBus | None = None, **options: Unpack[Options]
) -> None:
    """Serves calls until Ctrl-C or SIGTERM; a second Ctrl-C ends running calls at once."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await serve(handler, listen, bus=bus, **options)

    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(main())
