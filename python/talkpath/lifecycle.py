"""Interactive shells and whatever else an agent has started, in the words of earlier agents: ids and texts.

`start_interactive_shell` and `send_shell_input` answer with a text, as a model's tools do; `ProcessLifecycleManager`
ends all that was registered with it, `subprocess.Popen` objects too. Beneath them is `talkpath.process`, which raises
exceptions instead, and is to be preferred in new code.
"""

import os
import subprocess
import threading
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

from talkpath import _talkpath
from talkpath.errors import LimitExceeded, TalkpathError
from talkpath.process import Process, ProcessManager

Registered: TypeAlias = subprocess.Popen[Any] | Process

DEFAULT_SESSION = "console"
"""The session under which a shell's output goes to the bus, where none is named."""

_REAPED_WITHIN_S = 5.0


class ProcessLifecycleManager:
    """What ends with the agent: one for the whole process, from any thread.

    A registered process ends, with all that descends from it, when `kill_all` is called, and when the agent is gone,
    also when that was killed. Of a `subprocess.Popen` that is what descends from it at that moment: what forked twice
    and left is found only of talkpath's own processes.
    """

    _instance: ClassVar["tuple[int, ProcessLifecycleManager] | None"] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        """Use `instance()`."""
        self._manager = ProcessManager.instance()._core
        self._lock = threading.RLock()
        # With a Popen the number by which the guardian knows it.
        self._registered: dict[str, tuple[Registered, int | None]] = {}

    @classmethod
    def instance(cls) -> "ProcessLifecycleManager":
        """The one of this process; a forked copy has its own."""
        with ProcessLifecycleManager._instance_lock:
            found = ProcessLifecycleManager._instance
            if found is None or found[0] != os.getpid():
                found = ProcessLifecycleManager._instance = os.getpid(), cls()
            return found[1]

    def register(self, process: Registered, process_id: str | None = None) -> str:
        """Registers a process that runs, and returns the key: `process_id`, or the system's number as a text."""
        key = str(process.pid) if process_id is None else process_id
        number = None
        if not isinstance(process, Process) and process.poll() is None:
            number = self._manager.adopt(process.pid)
        with self._lock:
            before = self._registered.get(key)
            self._registered[key] = process, number
        self._release(before)
        return key

    def unregister(self, process: str | Registered) -> None:
        """Forgets a process, by its key or itself; one that is not registered is nothing to forget."""
        with self._lock:
            keys = [key for key, (it, _) in self._registered.items() if key == process or it is process]
            gone = [self._registered.pop(key) for key in keys]
        for entry in gone:
            self._release(entry)

    def get(self, process_id: str) -> Registered | None:
        """The process with this key, None if there is none."""
        with self._lock:
            entry = self._registered.get(process_id)
        return entry and entry[0]

    def kill_all(self) -> None:
        """Kills all that is registered, with all that descends from it, forgets it, and waits until it is gone."""
        with self._lock:
            entries, self._registered = list(self._registered.values()), {}
        for process, number in entries:
            if isinstance(process, Process):
                process._core.stop(0)
            elif number is not None:
                self._manager.kill_adopted(number)
        for process, _ in entries:
            if isinstance(process, Process):
                process._core.wait(_REAPED_WITHIN_S)
            else:
                self._reap(process)

    def _reap(self, process: "subprocess.Popen[Any]") -> None:
        try:
            process.wait(_REAPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            # The guardian could not be asked.
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_REAPED_WITHIN_S)

    def _release(self, entry: tuple[Registered, int | None] | None) -> None:
        if entry is not None and entry[1] is not None:
            self._manager.release(entry[1])


def start_interactive_shell(
    command: str, repo_root: str | os.PathLike[str], *, session_id: str = DEFAULT_SESSION, pty: bool = False
) -> str:
    """Starts a command in the user's own shell, and returns a text that names its id.

    Its output goes to `EventBus.instance()`, in the session `session_id` on the channel `console`: each line as `[id]
    line`, the end as `[id] Process exited with code N.` With `pty` it gets a terminal.
    """
    manager = ProcessManager.instance()
    argv = [_talkpath.user_shell(), "-c", command]
    try:
        process = manager.sync.start(argv, cwd=repo_root, pty=pty, console=session_id, output="discard")
    except (TalkpathError, OSError, ValueError) as error:
        return f"Error: Could not start '{command}': {error}"
    return f"Started interactive process '{command}'. ID: {process.id}. Output will stream to console."


def send_shell_input(process_id: str, input_text: str) -> str:
    """Types a line to a process that `start_interactive_shell` has started, and returns a text that says how it went.

    It does not wait for the process to read it, so that it may be called on an event loop.
    """
    manager = ProcessManager.instance()
    process = manager.get(process_id)
    if process is None and not manager.has_ended(process_id):
        return f"Error: Process {process_id} not found or not running."
    if process is None or process.exit is not None:
        return f"Error: Process {process_id} has already exited."
    try:
        process._core.begin_write(input_text, True)
    except LimitExceeded as error:
        return f"Error: Process {process_id} does not read its input: {error}."
    return f"Sent input to process {process_id}."


__all__ = [
    "DEFAULT_SESSION",
    "ProcessLifecycleManager",
    "send_shell_input",
    "start_interactive_shell",
]
