"""Waiting for a session: one small signal a purpose, and the rule that a session stays on its own event loop.

Nothing is carried by a signal: a waiter that wakes looks for itself, so a cancelled one loses nothing.
"""

import asyncio
from asyncio.events import _get_running_loop


class Signal:
    """Wakes everyone who waits on it; costs nothing while no one does."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] | None = None

    def notify(self) -> None:
        """Wakes all who wait now."""
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Waits for the next notify. Look first, then wait: what came before is not seen."""
        waiter = loop.create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter.cancelled():
                self._forget(waiter)

    def _forget(self, waiter: "asyncio.Future[None]") -> None:
        if self._waiters is not None and waiter in self._waiters:
            self._waiters.remove(waiter)


def check_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Raises RuntimeError if the caller is not on the session's own event loop."""
    running = _get_running_loop()
    if running is not loop:
        where = "a thread without an event loop" if running is None else "another event loop"
        raise RuntimeError(
            f"the session was used from {where}, wanted the one that serves it: "
            "use loop.call_soon_threadsafe or asyncio.run_coroutine_threadsafe"
        )
