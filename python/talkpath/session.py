"""One phone call, as its agent sees it: what is heard, what is said, what happened.

Audio flows in the core whatever this does; here are only waiting and policy. A session belongs to the event loop that
serves it. Nothing is lost by cancelling: a frame or an event is taken only in the step that hands it over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkpath._talkpath import Frame
from talkpath._waiting import Signal, check_loop
from talkpath.events import (
    Ended,
    EndReason,
    Event,
    EventsLost,
    Interrupted,
    SpeechStopped,
    event_from_core,
)
from talkpath.output import Output

if TYPE_CHECKING:
    from talkpath._talkpath import Call

_EVENTS_HELD = 256


class Session:
    """One phone call."""

    __slots__ = (
        "__weakref__",
        "_call",
        "_ended",
        "_events",
        "_heard",
        "_listeners",
        "_loop",
        "_over",
        "output",
    )

    output: Output
    """What the agent says."""

    def __init__(self, call: "Call", loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop
        self._heard = Signal()
        self._over = Signal()
        self._ended: Ended | None = None
        self._listeners: list[Events] = []
        # Events from before the first listener, who gets them all.
        self._events: Events | None = Events(self)
        self.output = Output(call, loop, self._take_events)

    @property
    def id(self) -> str:
        """The call's identity: the UUID that the peer gave it."""
        return self._call.id

    @property
    def peer(self) -> str:
        """The peer's address, host:port."""
        return self._call.peer

    @property
    def local(self) -> str:
        """Where the call came in, host:port: of a transport with a port for each call, that port."""
        return self._call.local

    @property
    def transport(self) -> str:
        """What carries the call: "audiosocket", "rtp" or "websocket"."""
        return self._call.transport

    @property
    def wire_encoding(self) -> str:
        """The encoding on the wire, both ways."""
        return self._call.encoding

    @property
    def wire_rate(self) -> int:
        """Samples a second on the wire, from the caller."""
        return self._call.rate

    @property
    def end_reason(self) -> EndReason | None:
        """Why the call ended, None while it runs."""
        return self._call.end_reason

    @property
    def barge_in(self) -> bool:
        """Whether the core interrupts the agent by itself when the caller speaks; can be set at any time."""
        return self._call.barge_in

    @barge_in.setter
    def barge_in(self, automatic: bool) -> None:
        self._call.barge_in = automatic

    def input(self, rate: int | None = None, frame_ms: float = 20, speech_only: bool = False) -> "Input":
        """What the caller says, as an async iterator of frames that ends with the call.

        `rate` is in samples a second (the wire's by default), `frame_ms` 5 to 1,000; `speech_only` leaves out what is
        no speech, but not the 200 ms before its onset. A session has one stream of frames: who calls this again
        goes on with it in the new format.
        """
        check_loop(self._loop)
        self._call.configure(self.wire_rate if rate is None else rate, frame_ms, speech_only)
        return Input(self)

    def events(self) -> "Events":
        """What happens, as an async iterator of events that ends after `Ended`.

        The first listener gets all events from the call's start, each further one those from here on: keep the
        iterator to go on listening later.
        """
        check_loop(self._loop)
        events, self._events = self._events, None
        if events is None:
            events = Events(self)
            if self._ended is not None:
                events.put(self._ended)
        if self._ended is None:
            self._listeners.append(events)
        return events

    async def hangup(self, after_drain: bool = True) -> None:
        """Ends the call, after all that was written has been played or at once, and waits until it has ended."""
        check_loop(self._loop)
        self._call.hangup(after_drain)
        while self._ended is None:
            await self._over.wait(self._loop)

    def stats(self) -> "Stats":
        """The call's counters now."""
        counted = self._call.stats()
        network = counted.pop("network")
        return Stats(**counted, network=network and NetworkStats(**network))

    def __repr__(self) -> str:
        state = self.end_reason or "running"
        return f"<talkpath.Session {self.id} from {self.peer}, {self.wire_encoding} at {self.wire_rate} Hz, {state}>"

    def wake(self) -> None:
        """Takes over what the core has new: called once a batch by the server."""
        self._heard.notify()
        self._take_events()
        self.output.wake()

    def abandon(self) -> None:
        """Ends the call as failed, unless it has ended or is hanging up."""
        self._call.fail()

    def _take_events(self) -> None:
        call = self._call
        while (parts := call.poll_event()) is not None:
            self._take(event_from_core(parts))

    def _take(self, event: Event) -> None:
        match event:
            case Interrupted(receipt):
                self.output.interrupted(receipt)
            case SpeechStopped():
                self.output.turn_ended()
            case Ended():
                self._ended = event
                self._over.notify()
        for listener in self._listeners:
            listener.put(event)
        if self._events is not None:
            self._events.put(event)
        if self._ended is not None:
            self._listeners.clear()


class Input:
    """What the caller says, frame by frame; ends with the call."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        session = self._session
        while True:
            # Taken and returned in one step: a cancelled wait takes nothing.
            frame = session._call.read()
            if frame is not None:
                return frame
            if session._call.is_finished():
                raise StopAsyncIteration
            check_loop(session._loop)
            await session._heard.wait(session._loop)

    def read(self) -> Frame | None:
        """Takes the next frame if there is one, without waiting."""
        return self._session._call.read()


class Events:
    """What happens in a call, in order; ends after `Ended`."""

    __slots__ = ("_finished", "_lost", "_queue", "_session", "_signal")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._queue: deque[Event] = deque()
        self._signal = Signal()
        self._lost = 0
        self._finished = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        # The task that asks, also where `asyncio.wait_for` awaits in a task of its own.
        return self._next(asyncio.current_task())

    async def _next(self, task: "asyncio.Task[Any] | None") -> Event:
        check_loop(self._session._loop)
        while True:
            if self._lost:
                lost, self._lost = self._lost, 0
                return EventsLost(lost)
            if self._queue:
                event = self._queue.popleft()
                if isinstance(event, Interrupted):
                    self._session.output.seen(event.receipt, task)
                self._finished = isinstance(event, Ended)
                return event
            if self._finished:
                raise StopAsyncIteration
            await self._signal.wait(self._session._loop)

    def put(self, event: Event) -> None:
        """Queues an event; a listener who is too slow loses the oldest, and is told."""
        if len(self._queue) >= _EVENTS_HELD:
            self._queue.popleft()
            self._lost += 1
        self._queue.append(event)
        self._signal.notify()


@dataclass(frozen=True, slots=True)
class Stats:
    """A call's counters, since its start."""

    frames_received: int
    frames_sent: int
    silence_frames_sent: int
    underruns: int
    interruptions: int
    missed_ticks: int
    events_lost: int
    input_lost_ms: float
    output_discarded_ms: float
    lateness_p50_ms: float
    lateness_p99_ms: float
    lateness_max_ms: float
    input_level_dbfs: float
    output_level_dbfs: float
    prebuffer_ms: float
    speech: bool
    network: "NetworkStats | None"
    """How the network treats a call whose transport sends packets, renewed twice a second."""


@dataclass(frozen=True, slots=True)
class NetworkStats:
    """How a call's packets fare: the caller's by the jitter buffer's count, ours by the far end's reports."""

    packets: int
    packets_lost: int
    packets_late: int
    packets_duplicate: int
    packets_malformed: int
    concealed_share: float
    """The share of what was heard that was made up for lost or late packets, 0 to 1."""
    jitter_ms: float
    delay_ms: float
    """How long after the fastest packets audio is heard."""
    target_ms: float
    """The delay that is aimed at."""
    r_factor: float
    """The transmission rating R of the way from the caller (ITU-T G.107), 0 to 93.2."""
    mos: float
    """The mean opinion score that the rating stands for, 1 to 4.5."""
    remote_loss: float | None
    """The share of our packets that were lost lately, 0 to 1; None before the far end has reported."""
    remote_packets_lost: int | None
    remote_jitter_ms: float | None
    round_trip_ms: float | None
