"""Running other programs, and leaving none of them behind.

Every program is the child of a small guardian process, which ends all that the agent has started, and all that those
have started, when the agent is gone: also when it was killed. Output is read by a thread of the core, whatever this
interpreter does; an event loop is woken once a batch. Everything here works on any event loop, on several at once, and
under `sync` from threads without one.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack, cast

from talkpath import _talkpath
from talkpath._talkpath import CleanText, SecretRef
from talkpath.bus import EventBus
from talkpath.errors import InvalidArgument, Timeout

__all__ = [
    "Batch",
    "CleanText",
    "Exit",
    "Limits",
    "Process",
    "ProcessManager",
    "ProcessOptions",
    "ProcessOutput",
    "SyncProcess",
    "SyncProcessManager",
]

Command: TypeAlias = Sequence[str | os.PathLike[str]]

_Item = TypeVar("_Item", str, bytes)

_BYTES, _TEXT, _CLEAN = range(3)
_STDOUT, _STDERR = range(2)


class Limits(TypedDict, total=False):
    """What a process and all that it starts may use; what is left out has no limit."""

    processes: int
    """Processes in its tree, itself among them."""
    memory_bytes: int
    """Resident memory of the tree."""
    cpu_s: int
    """Seconds of processor time of the tree."""
    open_files: int
    """Files that each process may have open."""
    file_bytes: int
    """The largest file that it may write."""
    wall_s: float
    """Seconds since its start."""
    output_bytes: int
    """What it may write to its output and error."""


class ProcessOptions(TypedDict, total=False):
    """How a process is started; what is left out keeps the default, given in brackets."""

    pty: bool | tuple[int, int]
    """Whether it gets a terminal, or how many rows and columns that has (False; 24 rows of 80 columns)."""
    cwd: str | os.PathLike[str] | None
    """Where it starts (where the agent is)."""
    env: Mapping[str, str]
    """Variables that it gets beside PATH, HOME, LANG, LC_*, TERM, TZ, USER, SHELL, TMPDIR and their like; no other
    variable of the agent's is inherited."""
    inherit_env: Sequence[str]
    """Names of variables of the agent's that it gets as well."""
    limits: Limits
    """What it may use."""
    stderr: Literal["stdout", "separate", "discard"]
    """Where its standard error goes ("stdout", in the order in which it was written)."""
    output: Literal["block", "drop_oldest", "discard"]
    """What happens to output that nobody reads: its writer waits, or the oldest is dropped and counted ("block"); or
    none of it is held."""
    buffer_bytes: int
    """How much output is held (1 MiB)."""
    prompt_ms: float | None
    """How long a line may stand without its newline until it is handed out as it is (40); None: for ever."""
    console: str | None
    """The session under which its output goes to the bus, on channel `console` (None: not at all)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: by a code or by a signal. Neither is known of one whose guardian was killed."""

    code: int | None
    """The exit code, None where a signal ended it."""
    signal: int | None
    """The signal that ended it, None where it ended by itself."""
    core_dumped: bool = False
    limit: Literal["processes", "memory", "cpu_time", "wall_time", "output"] | None = None
    """The limit for which it was ended."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with code 0."""
        return self.code == 0

    @property
    def returncode(self) -> int | None:
        """As `subprocess` has it: the code, or the signal's number below zero."""
        return self.code if self.signal is None else -self.signal


@dataclass(frozen=True, slots=True)
class Batch(Generic[_Item]):
    """Items that were there at once, and what was dropped before them."""

    items: list[_Item]
    lost_lines: int = 0
    lost_bytes: int = 0


class Process:
    """One program that runs, or has ended; iterate it for its output, line by line.

    A line comes with its newline. An item without one is a prompt, a piece of a line of more than 64 KiB, or the last.
    """

    __slots__ = ("__weakref__", "_core", "_news", "_stderr", "_stdout", "sync")

    sync: "SyncProcess"
    """The same for threads without an event loop."""

    def __init__(self, core: _talkpath.Process) -> None:
        self._core = core
        self._news = _News(core)
        self._stdout = ProcessOutput(core, self._news, _STDOUT, _TEXT, str)
        self._stderr = ProcessOutput(core, self._news, _STDERR, _TEXT, str)
        self.sync = SyncProcess(self)

    @property
    def id(self) -> str:
        """By this the manager finds it; no other process has it."""
        return self._core.id

    @property
    def pid(self) -> int:
        """The system's number for it; once it has ended, another process may have it."""
        return self._core.pid or 0

    @property
    def title(self) -> str:
        """What may be shown of its command: the program's name and how many arguments it has."""
        return self._core.title

    @property
    def started_at(self) -> float:
        """When it was started, in seconds since 1970."""
        return self._core.started_at

    @property
    def exit(self) -> Exit | None:
        """How it ended, None while it runs; it is told after all of its output."""
        ended = self._core.exit()
        return None if ended is None else Exit(ended[0], ended[1], ended[2], cast(Any, ended[3]))

    @property
    def stdout(self) -> "ProcessOutput[str]":
        """Its output, and its error unless that is separate, as text."""
        return self._stdout

    @property
    def stderr(self) -> "ProcessOutput[str]":
        """Its error, if it was started with `stderr="separate"`."""
        return self._stderr

    def lines(self, *, clean: bool = False, stderr: bool = False) -> "ProcessOutput[str]":
        """Its output as text; with `clean`, as a person would see it: without escape sequences, overwritten parts
        overwritten. Whatever is read by one view is not seen by another."""
        stream = _STDERR if stderr else _STDOUT
        return ProcessOutput(self._core, self._news, stream, _CLEAN if clean else _TEXT, str)

    def raw(self, *, stderr: bool = False) -> "ProcessOutput[bytes]":
        """Its output as it is, in bytes, item by item."""
        return ProcessOutput(self._core, self._news, _STDERR if stderr else _STDOUT, _BYTES, bytes)

    def batches(self) -> "AsyncIterator[Batch[str]]":
        """Its output, all that is there at once."""
        return self._stdout.batches()

    def __aiter__(self) -> "ProcessOutput[str]":
        return self._stdout

    def __iter__(self) -> "ProcessOutput[str]":
        return self._stdout

    async def wait(self, timeout: float | None = None) -> Exit:
        """Waits for its end; raises `Timeout` if it still runs after `timeout` seconds.

        With `output="block"`, a process that writes more than is held does not end before someone reads.
        """
        return await _within(timeout, self._ended(), f"process {self.id} still runs after {timeout} s")

    async def write(self, data: "str | bytes | bytearray | memoryview", timeout: float | None = None) -> None:
        """Writes to its input, and waits until all is taken.

        Raises `Timeout` after `timeout` seconds: what was not taken by then is taken back. Raises OSError if it does
        not read any more.
        """
        await self._written(self._core.begin_write(data, False), timeout)

    async def send_line(self, line: str | SecretRef, timeout: float | None = None) -> None:
        """Writes a line, at a terminal of any length; or a secret and a newline, which a terminal then does not show.

        A secret stays sealed until it is written. Programs that show by themselves what is typed, such as shells with
        line editing, show it all the same.
        """
        await self._written(self._core.begin_write(line, True), timeout)

    def close_input(self) -> None:
        """Ends its input, once all that was written is taken."""
        self._core.close_input()

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of its terminal."""
        self._core.resize(rows, columns)

    def send_signal(self, number: int) -> None:
        """Sends a signal to it and all that it has started."""
        self._core.signal(number)

    async def stop(self, grace: float = 5.0) -> Exit:
        """Asks it and all that it has started to end (SIGTERM), kills what is left after `grace` seconds, and waits."""
        self._core.stop(grace)
        return await self._ended()

    async def kill(self) -> Exit:
        """Kills it and all that it has started, and waits."""
        return await self.stop(0)

    def __repr__(self) -> str:
        return f"<talkpath.Process {self.id} ({self.title}), {self.exit or 'running'}>"

    async def _started(self) -> Self:
        try:
            while not self._core.poll_started():
                await self._news.wait()
        except asyncio.CancelledError:
            # Nobody will know of it.
            self._core.stop(0)
            raise
        return self

    async def _ended(self) -> Exit:
        while (ended := self.exit) is None:
            await self._news.wait()
        return ended

    async def _written(self, ticket: int, timeout: float | None) -> None:
        core = self._core

        async def done() -> None:
            while not core.poll_write(ticket):
                await self._news.wait()

        try:
            await _within(timeout, done(), "")
        except Timeout:
            raise core.abandon_write(ticket, timeout or 0) from None
        except asyncio.CancelledError:
            core.abandon_write(ticket, 0)
            raise


class SyncProcess:
    """A process for threads without an event loop: the same methods, which wait. A signal's handler can end a wait."""

    __slots__ = ("_core", "_process")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._core = process._core

    def wait(self, timeout: float | None = None) -> Exit:
        """Waits for its end; raises `Timeout` if it still runs after `timeout` seconds."""
        if not self._core.wait(timeout):
            raise Timeout(f"process {self._core.id} still runs after {timeout} s")
        ended = self._process.exit
        assert ended is not None
        return ended

    def write(self, data: "str | bytes | bytearray | memoryview", timeout: float | None = None) -> None:
        """Writes to its input, and waits until all is taken, at most `timeout` seconds."""
        self._written(self._core.begin_write(data, False), timeout)

    def send_line(self, line: str | SecretRef, timeout: float | None = None) -> None:
        """Writes a line, at a terminal of any length; or a secret, which a terminal does not show."""
        self._written(self._core.begin_write(line, True), timeout)

    def stop(self, grace: float = 5.0) -> Exit:
        """Asks it and all that it has started to end, kills what is left after `grace` seconds, and waits."""
        self._core.stop(grace)
        return self.wait()

    def kill(self) -> Exit:
        """Kills it and all that it has started, and waits."""
        return self.stop(0)

    def _written(self, ticket: int, timeout: float | None) -> None:
        try:
            if self._core.wait_write(ticket, timeout):
                return
        except KeyboardInterrupt:
            self._core.abandon_write(ticket, 0)
            raise
        raise self._core.abandon_write(ticket, timeout or 0)


class ProcessOutput(Generic[_Item]):
    """One output, item by item, to an event loop or to a thread; each item goes to whoever asks first."""

    __slots__ = ("_core", "_form", "_news", "_ready", "_stream", "lost_bytes", "lost_lines")

    lost_lines: int
    """Lines that were dropped before the last item, since the start."""
    lost_bytes: int
    """Bytes that were dropped before the last item, since the start."""

    def __init__(self, core: _talkpath.Process, news: "_News", stream: int, form: int, _item: type[_Item]) -> None:
        self._core = core
        self._news = news
        self._stream = stream
        self._form = form
        self._ready: Iterator[_Item] = iter(())
        self.lost_lines = 0
        self.lost_bytes = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        # Taken and returned in one step: a cancelled wait takes nothing.
        for item in self._ready:
            return item
        # So that what is always there does not keep the loop from everything else.
        await asyncio.sleep(0)
        while not self._take():
            await self._news.wait()
        for item in self._ready:
            return item
        raise StopAsyncIteration

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Item:
        for item in self._ready:
            return item
        while not self._take():
            self._core.wait_output(self._stream, None)
        return next(self._ready)

    async def batches(self) -> AsyncIterator[Batch[_Item]]:
        """All that is there at once, up to 64 KiB, and what was dropped before it."""
        while True:
            items = list(self._ready)
            lost = self.lost_lines, self.lost_bytes
            if not items:
                await asyncio.sleep(0)
                while not self._take():
                    await self._news.wait()
                items = list(self._ready)
            if not items and self.lost_bytes == lost[1]:
                return
            yield Batch(items, self.lost_lines - lost[0], self.lost_bytes - lost[1])

    async def read(self) -> _Item:
        """All that is still to come, at once."""
        items = [item async for item in self]
        return cast(_Item, b"" if self._form == _BYTES else "").join(items)

    def _take(self) -> bool:
        """Takes what is there; whether that is something, or the end."""
        # Looked at first: what comes after it is taken below.
        is_over = self._core.is_exhausted(self._stream)
        items, lines, count = self._core.take(self._stream, self._form)
        self.lost_lines += lines
        self.lost_bytes += count
        self._ready = iter(items)
        return bool(items) or count > 0 or is_over


class ProcessManager:
    """Starts processes and keeps them until it is closed, or the agent is gone: then all of them end.

    `async with ProcessManager() as manager:` closes it, as does `with` in a thread; `ProcessManager.instance()` is
    there for as long as the agent.
    """

    __slots__ = ("__weakref__", "_core", "_known", "_lock", "sync")

    sync: "SyncProcessManager"
    """The same for threads without an event loop."""

    _instance: "tuple[int, ProcessManager] | None" = None
    _instance_lock = threading.Lock()

    def __init__(
        self, *, tier: Literal["subreaper", "cgroup", "strict"] = "subreaper", bus: EventBus | None = None
    ) -> None:
        """Prepares a manager; `tier` is how descendants are kept together. One that the system does not allow is an
        error at the first start, never a weaker one. `bus` is told of processes with a `console`, and is
        `EventBus.instance()` if none is given."""
        self._core = _talkpath.ProcessManager(tier, bus or EventBus.instance())
        self._known: weakref.WeakValueDictionary[str, Process] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self.sync = SyncProcessManager(self)

    @classmethod
    def instance(cls) -> "ProcessManager":
        """The one that all parts of the agent share; a forked copy of the agent has its own."""
        with ProcessManager._instance_lock:
            found = ProcessManager._instance
            if found is None or found[0] != os.getpid():
                found = ProcessManager._instance = os.getpid(), ProcessManager()
            return found[1]

    async def start(
        self, argv: Command | None = None, *, shell: str | None = None, **options: Unpack[ProcessOptions]
    ) -> Process:
        """Starts a program with its arguments, or a command for `/bin/sh`, and waits until it runs.

        Raises OSError if the program is not there or the system refuses.
        """
        return await self._process(self._core.start(_argv(argv, shell), **_flat(options)))._started()

    def get(self, process_id: str) -> Process | None:
        """The process with this id, if it runs or has ended not long ago."""
        found = self._core.find(process_id)
        return self._process(found) if isinstance(found, _talkpath.Process) else None

    def has_ended(self, process_id: str) -> bool:
        """Whether there was a process with this id, and it has ended."""
        found = self._core.find(process_id)
        return found is True or (isinstance(found, _talkpath.Process) and found.exit() is not None)

    @property
    def processes(self) -> tuple[Process, ...]:
        """Those that run, oldest first."""
        return tuple(self._process(core) for core in self._core.running())

    @property
    def tier(self) -> str | None:
        """How descendants are kept together, once the first process was started."""
        return self._core.tier

    async def stop_all(self, grace: float = 5.0) -> None:
        """Asks all processes and what they have started to end, kills what is left after `grace` seconds, which they
        share, and waits."""
        running = self.processes
        self._core.stop_all(grace)
        for process in running:
            await process._ended()

    async def close(self, grace: float = 5.0) -> None:
        """Ends all processes as `stop_all` does, and starts no more."""
        await asyncio.get_running_loop().run_in_executor(None, self._core.close, grace)

    def _process(self, core: _talkpath.Process) -> Process:
        """The one object that stands for a process: those who wait for it have to know of each other."""
        with self._lock:
            return self._known.setdefault(core.id, Process(core))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sync.close()


class SyncProcessManager:
    """A manager for threads without an event loop: the same methods, which wait."""

    __slots__ = ("_manager",)

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager

    def start(
        self, argv: Command | None = None, *, shell: str | None = None, **options: Unpack[ProcessOptions]
    ) -> Process:
        """Starts a program with its arguments, or a command for `/bin/sh`, and waits until it runs."""
        manager = self._manager
        process = manager._process(manager._core.start(_argv(argv, shell), **_flat(options)))
        try:
            process._core.wait_started(None)
        except KeyboardInterrupt:
            process._core.stop(0)
            raise
        return process

    def stop_all(self, grace: float = 5.0) -> None:
        """Asks all processes to end, kills what is left after `grace` seconds, which they share, and waits."""
        running = self._manager.processes
        self._manager._core.stop_all(grace)
        for process in running:
            process.sync.wait()

    def close(self, grace: float = 5.0) -> None:
        """Ends all processes, and starts no more."""
        self._manager._core.close(grace)


class _News:
    """Wakes the coroutines that wait for one process, on whichever loops they are.

    Nothing is carried by it: who wakes looks for himself. A loop watches the descriptor only while someone on it waits,
    so that none is kept from closing, and none that is closed is missed.
    """

    __slots__ = ("_core", "_lock", "_waiting")

    def __init__(self, core: _talkpath.Process) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}

    async def wait(self) -> None:
        """Waits until there may be something new. Look first, then wait: what came since the last look is told."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            waiting = self._waiting.setdefault(loop, [])
            waiting.append(future)
            if len(waiting) == 1:
                loop.add_reader(self._core.fileno(), self._wake, loop)
        try:
            await future
        finally:
            if future.cancelled():
                self._leave(loop, future)

    def _wake(self, here: asyncio.AbstractEventLoop) -> None:
        self._core.hush()
        with self._lock:
            woken, self._waiting = self._waiting, {}
        for loop, futures in woken.items():
            if loop is here:
                self._release(loop, futures)
            else:
                # One that was closed has nobody left who waits.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._release, loop, futures)

    def _release(self, loop: asyncio.AbstractEventLoop, futures: "list[asyncio.Future[None]]") -> None:
        with self._lock:
            if loop not in self._waiting:
                loop.remove_reader(self._core.fileno())
        for future in futures:
            if not future.done():
                future.set_result(None)

    def _leave(self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
        with self._lock:
            waiting = self._waiting.get(loop)
            if waiting is not None and future in waiting:
                waiting.remove(future)
                if not waiting:
                    del self._waiting[loop]
                    loop.remove_reader(self._core.fileno())


_Result = TypeVar("_Result")


async def _within(timeout: float | None, waiting: Awaitable[_Result], message: str) -> _Result:
    try:
        async with asyncio.timeout(timeout):
            return await waiting
    except TimeoutError as error:
        if isinstance(error, Timeout):
            raise
        raise Timeout(message) from None


def _argv(argv: Command | None, shell: str | None) -> list[str]:
    if (argv is None) == (shell is None):
        raise InvalidArgument("wanted either a program with its arguments or shell=, and not both")
    if isinstance(argv, str | bytes):
        raise InvalidArgument("a text as the program and its arguments, wanted a list, or shell= for a command")
    return ["/bin/sh", "-c", shell] if shell is not None else [os.fspath(it) for it in argv or ()]


def _flat(options: ProcessOptions) -> dict[str, Any]:
    """The options as the core takes them."""
    flat: dict[str, Any] = {key: value for key, value in options.items() if key not in ("limits", "pty")}
    flat.update(options.get("limits", {}))
    pty = options.get("pty", False)
    flat["pty"] = (24, 80) if pty is True else pty or None
    if "env" in flat:
        flat["env"] = dict(flat["env"])
    if "inherit_env" in flat:
        flat["inherit_env"] = list(flat["inherit_env"])
    return flat
