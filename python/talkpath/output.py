"""What an agent says: `session.output`, and which writes are stale after an interruption.

The core counts generations: each interruption, the agent's own or the core's, starts the next one, and a write must
name the generation it belongs to. Which one that is, is decided here:

- Audio with a tag belongs to the generation in which the tag was first written, whichever task writes it. Once that was
  interrupted the tag is retired: whatever still comes with it is refused, until the caller's turn has ended
  (`SpeechStopped`). What is written then is an answer to what the caller said, and may be called as before.
- Audio without a tag belongs to the generation that its task has seen. A task sees a new one when it interrupts, when
  it reads the `Interrupted` event, or when the caller's turn has ended since.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from talkpath._talkpath import Frame
from talkpath._waiting import Signal, check_loop
from talkpath.errors import LimitExceeded
from talkpath.events import Receipt, receipt_from_core

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from talkpath._talkpath import Call

_TAGS_REMEMBERED = 1024


class Output:
    """What the agent says, played at the pace at which it is heard."""

    __slots__ = ("_answered", "_call", "_known", "_loop", "_room", "_tags", "_take_events", "_tasks")

    def __init__(self, call: "Call", loop: asyncio.AbstractEventLoop, take_events: Callable[[], None]) -> None:
        self._call = call
        self._loop = loop
        self._take_events = take_events
        self._room = Signal()
        # The newest generation that an event or our own interruption has told of; and the one in which the caller's
        # last turn ended: what is written in it from then on is an answer to that turn.
        self._known = 0
        self._answered = -1
        self._tags: OrderedDict[str, int] | None = None
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], int] | None = None

    def write(self, pcm: "Buffer", rate: int | None = None, tag: str = "") -> Coroutine[Any, Any, bool]:
        """Writes audio, waiting for room as long as it takes; False once it was interrupted.

        `pcm` is bytes-like 16-bit little-endian PCM or a buffer of 16-bit integers, `rate` its samples a second (a
        `Frame` brings its own, otherwise the wire's is meant). `tag` names what is said, in receipts and events.
        Raises `SessionEnded` once the call is over. A cancelled write may have been taken in part.
        """
        check_loop(self._loop)
        # Here and not in the coroutine, which `asyncio.wait_for` may run in a task of its own.
        return self._write(pcm, self._rate_of(pcm, rate), tag, self._generation_of(tag))

    async def _write(self, pcm: "Buffer", rate: int, tag: str, generation: int) -> bool:
        remaining = self._call.write(pcm, rate, tag, generation)
        while remaining > 0:
            await self._room.wait(self._loop)
            remaining = self._call.write(pcm, rate, tag, generation, remaining)
        return remaining == 0

    def try_write(self, pcm: "Buffer", rate: int | None = None, tag: str = "") -> int:
        """Writes as much audio as there is room for, and says how many samples that was; 0 also once interrupted."""
        check_loop(self._loop)
        return self._call.try_write(pcm, self._rate_of(pcm, rate), tag, self._generation_of(tag))

    def finish(self) -> None:
        """Says that what was written is complete: it plays at once, however short, and its end is no underrun."""
        check_loop(self._loop)
        self._call.finish()

    def interrupt(self) -> Receipt:
        """Drops all that waits for playout, at once, and says exactly what was heard."""
        check_loop(self._loop)
        receipt = receipt_from_core(self._call.interrupt())
        self.interrupted(receipt)
        self.seen(receipt, asyncio.current_task())
        self._room.notify()
        # The core wakes nobody for what this side did itself.
        self._loop.call_soon(self._take_events)
        return receipt

    async def drain(self) -> bool:
        """Waits until all that was written has been played; False if it was interrupted or the call ended first."""
        check_loop(self._loop)
        call = self._call
        generation = call.generation()
        call.finish()
        while not call.is_drained() and call.end_reason is None and call.generation() == generation:
            await self._room.wait(self._loop)
        return call.is_drained() and call.generation() == generation

    def mark(self, name: str) -> None:
        """Sets a mark after all that was written so far: the `MarkPlayed` event says when playout has reached it.

        Raises `LimitExceeded` if more marks wait than a session holds.
        """
        check_loop(self._loop)
        if not self._call.mark(name):
            raise LimitExceeded(f"mark {name!r} on a full queue of marks, wanted one that is played first")

    def send_dtmf(self, keys: str) -> None:
        """Presses keys, `0` to `9`, `*`, `#` and `A` to `D`: 100 ms each and as much apart, beginning at once.

        They go by the transport's own means, or as tones. What is said meanwhile waits until they are over, and an
        interruption does not take them back. Raises `ValueError` for what is no key and `LimitExceeded` if more than
        64 would wait; then none of them is pressed.
        """
        check_loop(self._loop)
        self._call.send_dtmf(keys)

    def pause(self) -> None:
        """Stops playout where it is; what waits keeps waiting."""
        self._call.pause()

    def resume(self) -> None:
        """Goes on where `pause` stopped."""
        self._call.resume()

    @property
    def paused(self) -> bool:
        """Whether playout is paused."""
        return self._call.is_paused()

    @property
    def position(self) -> Receipt:
        """What was received and played since the last interruption, tag by tag; nothing is discarded by asking."""
        return receipt_from_core(self._call.position())

    @property
    def buffered_ms(self) -> float:
        """Milliseconds that wait for playout."""
        return self._call.buffered_ms()

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait for playout, as 16-bit samples at the wire's rate."""
        return self._call.buffered_bytes()

    @property
    def limit_bytes(self) -> int:
        """Bytes that may wait for playout; beyond it `write` waits."""
        return self._call.limit_bytes

    @property
    def rate(self) -> int:
        """Samples a second on the wire, towards the caller: audio at this rate is not resampled."""
        return self._call.output_rate

    @property
    def generation(self) -> int:
        """How often playout was interrupted: each interruption starts the next generation."""
        return self._call.generation()

    def wake(self) -> None:
        """Lets those who wait for room or for the end of playout look again."""
        self._room.notify()

    def interrupted(self, receipt: Receipt) -> None:
        """Takes note that a generation has ended."""
        self._known = _later(_next(receipt.generation), self._known)

    def turn_ended(self) -> None:
        """Takes note that the caller stopped speaking."""
        self._answered = self._known

    def seen(self, receipt: Receipt, task: "asyncio.Task[Any] | None") -> None:
        """Takes note that a task knows of an interruption: what it writes from now on comes after it."""
        if task is not None:
            if self._tasks is None:
                self._tasks = WeakKeyDictionary()
            began = _next(receipt.generation)
            self._tasks[task] = _later(began, self._tasks.get(task, began))

    def _rate_of(self, pcm: "Buffer", rate: int | None) -> int:
        if rate is not None:
            return rate
        return pcm.rate if isinstance(pcm, Frame) else self._call.output_rate

    def _generation_of(self, tag: str) -> int:
        now = self._call.generation()
        if tag:
            return self._generation_of_tag(tag, now)
        task = asyncio.current_task()
        if task is None:
            return now
        if self._tasks is None:
            self._tasks = WeakKeyDictionary()
        seen = self._tasks.get(task)
        if seen is None or (seen != now and self._answered == now):
            self._tasks[task] = seen = now
        return seen

    def _generation_of_tag(self, tag: str, now: int) -> int:
        if self._tags is None:
            self._tags = OrderedDict()
        first = self._tags.get(tag)
        if first is None or (first != now and self._answered == now):
            self._tags[tag] = first = now
            if len(self._tags) > _TAGS_REMEMBERED:
                self._tags.popitem(last=False)
        else:
            self._tags.move_to_end(tag)
        return first


def _next(generation: int) -> int:
    return (generation + 1) & 0xFFFF


def _later(a: int, b: int) -> int:
    """The later of two generations, which the core counts in 16 bits."""
    return a if (a - b) & 0xFFFF < 0x8000 else b
