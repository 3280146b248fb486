"""`talkpath run`: runs a command under supervision, as if it were run directly, and leaves nothing of it behind."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import typer

from talkpath.cli.console import console, fail, refuse
from talkpath.process import Exit, Limits, Process, ProcessManager, ProcessOptions, ProcessOutput

_STDIN = 0


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="-- COMMAND [ARG]...")],
    pty: Annotated[bool, typer.Option("--pty", help="Give it a terminal.")] = False,
    cwd: Annotated[str | None, typer.Option(help="Where to start it.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(help="A variable that it gets: NAME=VALUE, or NAME for the one that there is. Repeatable."),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="How descendants are kept together: subreaper, cgroup, strict.")
    ] = "subreaper",
    grace: Annotated[float, typer.Option(help="Seconds to end in when asked to, before it is killed.")] = 5.0,
    limit_wall: Annotated[float | None, typer.Option(help="Seconds that it may run.")] = None,
    limit_cpu: Annotated[int | None, typer.Option(help="Seconds of processor time that its tree may use.")] = None,
    limit_memory: Annotated[int | None, typer.Option(help="Bytes of memory that its tree may use.")] = None,
    limit_processes: Annotated[int | None, typer.Option(help="Processes that its tree may have.")] = None,
    limit_output: Annotated[int | None, typer.Option(help="Bytes that it may write.")] = None,
) -> None:
    """Run a command: stream its output, pass input and Ctrl-C on, and end all that it started when it ends.

    The exit code is the command's own, or 128 and the number of the signal that ended it; 127 if it is not there, 126
    if it cannot be run. The first Ctrl-C is passed on, the second kills. It gets few variables of the environment,
    none of them secret; name others with --env.
    """
    limits: Limits = {}
    if limit_wall is not None:
        limits["wall_s"] = limit_wall
    if limit_cpu is not None:
        limits["cpu_s"] = limit_cpu
    if limit_memory is not None:
        limits["memory_bytes"] = limit_memory
    if limit_processes is not None:
        limits["processes"] = limit_processes
    if limit_output is not None:
        limits["output_bytes"] = limit_output
    options: ProcessOptions = {"cwd": cwd, "limits": limits, "stderr": "separate"}
    named = env or []
    options["env"] = dict(it.split("=", 1) for it in named if "=" in it)
    options["inherit_env"] = [it for it in named if "=" not in it]
    if pty:
        size = shutil.get_terminal_size()
        options["pty"] = (size.lines, size.columns)
        options["prompt_ms"] = 1
    else:
        options["prompt_ms"] = 10
    if tier not in ("subreaper", "cgroup", "strict"):
        refuse(f"--tier of {tier!r}, wanted subreaper, cgroup or strict")
    manager = ProcessManager(tier=tier)  # type: ignore[arg-type]  # checked above
    try:
        code = asyncio.run(_run(manager, command, options, grace))
    except OSError as error:
        code = fail(str(error), code={errno.ENOENT: 127, errno.EACCES: 126}.get(error.errno or 0, 1))
    raise typer.Exit(code)


async def _run(manager: ProcessManager, command: list[str], options: ProcessOptions, grace: float) -> int:
    loop = asyncio.get_running_loop()
    with _keys_as_typed("pty" in options):
        async with manager:
            process = await manager.start(command, **options)
            _pass_signals_on(loop, process, grace)
            _pass_input_on(loop, process)
            try:
                await asyncio.gather(
                    _copy(process.raw(), sys.stdout.buffer), _copy(process.raw(stderr=True), sys.stderr.buffer)
                )
                ended = await process.wait()
            except BrokenPipeError:
                # Who read our output has gone: as the command itself would end.
                await process.kill()
                ended = Exit(None, signal.SIGPIPE)
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            # All that it left running ends with it.
            await manager.close(0)
    if ended.limit is not None:
        console.print(f"ended: its limit of {ended.limit.replace('_', ' ')} was reached")
    if ended.code is not None:
        return ended.code
    return 128 + (ended.signal or 0)


async def _copy(output: ProcessOutput[bytes], to: BinaryIO) -> None:
    async for batch in output.batches():
        to.write(b"".join(batch.items))
        to.flush()


def _pass_signals_on(loop: asyncio.AbstractEventLoop, process: Process, grace: float) -> None:
    pressed = 0

    def interrupted() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            process.send_signal(signal.SIGINT)
        else:
            process._core.stop(0)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, process._core.stop, grace)
    loop.add_signal_handler(signal.SIGHUP, process._core.stop, grace)

    def resized() -> None:
        size = shutil.get_terminal_size()
        with contextlib.suppress(ValueError):
            process.resize(size.lines, size.columns)

    loop.add_signal_handler(signal.SIGWINCH, resized)


def _pass_input_on(loop: asyncio.AbstractEventLoop, process: Process) -> None:
    """Reads standard input on a thread of its own: files cannot be waited for by a loop."""
    try:
        if os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) != os.getpgrp():
            # In the background a terminal is not ours to read.
            return
    except OSError:
        return

    def read() -> None:
        # A loop that is closed, or a process that reads no more, has no use for the rest.
        with contextlib.suppress(OSError, RuntimeError, asyncio.CancelledError):
            while data := os.read(_STDIN, 65536):
                asyncio.run_coroutine_threadsafe(process.write(data), loop).result()
            process.close_input()

    threading.Thread(target=read, name="talkpath-stdin", daemon=True).start()


@contextlib.contextmanager
def _keys_as_typed(pty: bool) -> Iterator[None]:
    """Lets the command's own terminal do with keys what a terminal does, Ctrl-C too, and not ours before it."""
    if not (pty and os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) == os.getpgrp()):
        yield
        return
    before = termios.tcgetattr(_STDIN)
    tty.setraw(_STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)
