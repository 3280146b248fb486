"""The event bus: whatever happens, in calls, programs and agents, for everyone who wants to know.

    bus = talkpath.EventBus.instance()
    async for event in bus.subscribe("call-*", "voice:*"):
        print(event.session, event.kind, event.data)

Any thread publishes; subscribers read with `async for`, in batches, from threads, or by callback. Each has a queue of
its own, bounded in events and bytes, and says what happens when it is full. The events of a session arrive in the order
of their numbers. The bus belongs to the process that made it: in a forked child it refuses, and `instance()` is a new
one.
"""

import asyncio
import atexit
import base64
import itertools
import json
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, TypeAlias, overload

from talkpath import _talkpath
from talkpath._talkpath import BusEvent as Event
from talkpath._talkpath import BusGap as Gap
from talkpath._talkpath import BusListener as Listener
from talkpath._waiting import Signal

if TYPE_CHECKING:
    from talkpath.audit import Audit
    from talkpath.nats import NatsBridge

Policy: TypeAlias = Literal["lossless", "drop_oldest", "conflate"]
"""What happens when a subscriber's queue is full: the publisher waits, the oldest events make room, or only the newest
event of each session and kind is kept."""

_logger = logging.getLogger("talkpath.bus")


class EventBus(_talkpath.Bus):
    """An event bus. Any thread may publish and subscribe, also from inside a callback.

    `sessions` is of how many the numbers are remembered (65,536; beyond that those published to least lately are
    forgotten, and begin with 1 when they come back), `publish_timeout_s` how long `publish` waits for a lossless
    subscriber (5), `event_bytes` how large an event may be (16 MiB).
    """

    _instance: ClassVar["EventBus | None"] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        *,
        sessions: int | None = None,
        publish_timeout_s: float | None = None,
        event_bytes: int | None = None,
    ) -> None:
        """What is given has been read by the core."""
        self._listeners: dict[str, list[Listener]] = {}
        self._lock = threading.Lock()

    @classmethod
    def instance(cls) -> "EventBus":
        """The process's own bus, made when it is first asked for."""
        with EventBus._instance_lock:
            if EventBus._instance is None:
                EventBus._instance = cls()
            return EventBus._instance

    @overload
    def subscribe(self, session_id: str, cb: Callable[[str, Any], object], /) -> None: ...

    @overload
    def subscribe(
        self,
        session_id: str = "*",
        kind: str = "*",
        *,
        callback: None = None,
        policy: Policy = "drop_oldest",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        name: str | None = None,
    ) -> "Subscription": ...

    @overload
    def subscribe(
        self,
        session_id: str = "*",
        kind: str = "*",
        *,
        callback: Callable[[Event | Gap], object],
        policy: Policy = "drop_oldest",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        name: str | None = None,
    ) -> Listener: ...

    def subscribe(
        self,
        session_id: str = "*",
        kind: str | Callable[[str, Any], object] = "*",
        cb: Callable[[str, Any], object] | None = None,
        *,
        callback: Callable[[Event | Gap], object] | None = None,
        policy: Policy = "drop_oldest",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        name: str | None = None,
    ) -> "Subscription | Listener | None":
        """Subscribes from now on.

        `subscribe("call-*", "voice:*")` answers a `Subscription` to the sessions and kinds that match: `*` stands for
        any run of characters, `?` for one. With `callback=`, that is called with each `Event` (or `Gap`), on the thread
        that publishes, and the answer is a `Listener` to `close()`.

        `subscribe(session_id, cb)` has `cb(event_type, data)` called with the events of that very session, until
        `unsubscribe`.

        `capacity` is how many events may wait (8,192), `capacity_bytes` how many bytes (8 MiB), `name` what errors call
        the subscriber.
        """
        if not isinstance(kind, str):
            cb = kind
            kind = "*"
        if cb is not None:
            listener = Listener(self, session_id, "*", cb, literal=True, takes_pair=True)
            with self._lock:
                self._listeners.setdefault(session_id, []).append(listener)
            return None
        if callback is not None:
            return Listener(
                self,
                session_id,
                kind,
                callback,
                policy=policy,
                capacity=capacity,
                capacity_bytes=capacity_bytes,
                name=name,
            )
        return Subscription(
            self, session_id, kind, policy=policy, capacity=capacity, capacity_bytes=capacity_bytes, name=name
        )

    def unsubscribe(self, session_id: str, cb: Callable[[str, Any], object] | None = None) -> None:
        """Ends what `subscribe(session_id, cb)` began, without `cb` all of the session; nothing there is no error."""
        with self._lock:
            listeners = self._listeners.pop(session_id, [])
            gone = [listener for listener in listeners if cb is None or listener.callback == cb]
            if left := [listener for listener in listeners if listener not in gone]:
                self._listeners[session_id] = left
        for listener in gone:
            listener.close()

    def audit(self, path: "str | os.PathLike[str]", **options: Any) -> "Audit":
        """Records what is published from now on in an audit log; see `talkpath.Audit` for the options."""
        from talkpath.audit import Audit

        return Audit(self, path, **options)

    def bridge_nats(self, *servers: str, **options: Any) -> "NatsBridge":
        """Joins this bus to those of other processes over NATS; see `talkpath.NatsBridge` for the options."""
        from talkpath.nats import NatsBridge

        return NatsBridge(self, *servers, **options)

    async def send(self, session_id: str, event_type: str, data: Any = None) -> int:
        """Publishes an event from an event loop: awaits room where `publish` would have to wait, and so fails."""
        hub = _Hub.running()
        while (sequence := self._send(session_id, event_type, data, hub.bell)) is None:
            await hub.room.wait(hub.running_loop())
        return sequence


class Subscription(_talkpath.BusSubscription):
    """What a subscriber reads: `async for event in subscription:` on one event loop, `for event in subscription:` in
    threads. It ends when it is closed, or its bus is gone."""

    _token: int
    _hub: "_Hub | None"
    _signal: Signal

    def __init__(
        self,
        bus: EventBus,
        session: str,
        kind: str,
        *,
        policy: Policy = "drop_oldest",
        capacity: int | None = None,
        capacity_bytes: int | None = None,
        name: str | None = None,
    ) -> None:
        """What is given has been read by the core. A subscription made on an event loop is read there."""
        self._hub = None
        self._signal = Signal()
        if asyncio._get_running_loop() is not None:
            self._bind_to(_Hub.running())

    async def batches(self, max_events: int = 256) -> AsyncIterator[list[Event | Gap]]:
        """All that waits, at once and again: lists of at most `max_events`; longer ones leave the processor's cache."""
        while True:
            if batch := self.drain(max_events):
                yield batch
                # However fast publishers are, the loop has its turn.
                await asyncio.sleep(0)
            elif self.closed:
                return
            else:
                await self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self) -> Event | Gap:
        """The next event, once the batch that was taken over has been handed out."""
        if self._refill():
            # However fast publishers are, the loop has its turn.
            await asyncio.sleep(0)
        while True:
            # Taken and returned in one step: a cancelled wait takes nothing.
            if (event := self._take()) is not None:
                return event
            if self._refill():
                continue
            if self.closed:
                raise StopAsyncIteration
            await self._wait()

    async def _wait(self) -> None:
        hub = self._hub
        if hub is None:
            hub = _Hub.running()
            self._bind_to(hub)
        await self._signal.wait(hub.running_loop())

    def _bind_to(self, hub: "_Hub") -> None:
        self._hub = hub
        hub.add(self)


class _Hub:
    """What one event loop has of buses: a bell with one descriptor, and who is to be told when it rings."""

    __slots__ = ("__weakref__", "_loop", "_subscriptions", "bell", "room")

    _hubs: ClassVar["weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub]"] = weakref.WeakKeyDictionary()
    _tokens: ClassVar["itertools.count[int]"] = itertools.count(1)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._subscriptions: dict[int, weakref.ref[Subscription]] = {}
        self.room = Signal()
        self.bell = _talkpath.LoopBell(self._loop)
        loop.add_reader(self.bell.fileno(), self._ring)

    @classmethod
    def running(cls) -> "_Hub":
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        hub = cls._hubs.get(loop)
        if hub is None:
            hub = cls._hubs[loop] = cls(loop)
        return hub

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """Its loop; it must be the one that runs."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop():
            raise RuntimeError("the subscription is read on another event loop, wanted the one that it began on")
        return loop

    def add(self, subscription: Subscription) -> None:
        """Has the subscription told on this loop."""
        token = next(self._tokens)
        self._subscriptions[token] = weakref.ref(subscription)
        subscription._bind(self.bell, token)

    def _ring(self) -> None:
        for token in self.bell.take():
            if token == 0:
                self.room.notify()
                continue
            found = self._subscriptions.get(token)
            subscription = None if found is None else found()
            if subscription is None:
                # The end of a subscription rings, too.
                self._subscriptions.pop(token, None)
            else:
                subscription._signal.notify()


def _to_json(data: Any) -> str:
    """What the core asks for when somebody who does not speak Python reads an event."""
    return json.dumps(data, default=_json_default, ensure_ascii=False)


def _json_default(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return repr(value)


def _report_failure(callback: Callable[..., object], error: BaseException) -> None:
    _logger.error("the callback %r failed", callback, exc_info=error)


def _report_gap(callback: Callable[..., object], session: str, count: int) -> None:
    _logger.warning("the callback %r was too slow: %d events of %s were dropped", callback, count, session)


def _forget_parent() -> None:
    """In a forked child: what the parent uses is not touched."""
    _Hub._hubs = weakref.WeakKeyDictionary()
    EventBus._instance = None
    EventBus._instance_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(_talkpath._bus_leave)

__all__: Final = ["Event", "EventBus", "Gap", "Listener", "Policy", "Subscription"]
