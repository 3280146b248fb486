"""What it costs to read a child's output line by line, and to start one: talkpath beside its peers, in one run.

    pip install . pexpect && python benches/process_output.py

Lines have 80 bytes. Each reader gets them from `cat`, five times in turns with the others; the best run counts, as
others use the machine, too. CPU is that of the reading process with all of its threads. Starting is measured with 1 GiB
resident.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable

from talkpath import ProcessManager

ROUNDS = 5
LINE = b"x" * 79 + b"\n"


async def talkpath_lines(path: str) -> int:
    process = await ProcessManager.instance().start(["cat", path])
    count = 0
    async for _ in process:
        count += 1
    return count


async def talkpath_batches(path: str) -> int:
    process = await ProcessManager.instance().start(["cat", path])
    count = 0
    async for batch in process.batches():
        count += len(batch.items)
    return count


async def stream_reader(path: str) -> int:
    process = await asyncio.create_subprocess_exec("cat", path, stdout=asyncio.subprocess.PIPE, limit=2**20)
    assert process.stdout is not None
    count = 0
    async for line in process.stdout:
        line.decode()
        count += 1
    await process.wait()
    return count


async def reader_thread(path: str) -> int:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    process = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, None)

    thread = threading.Thread(target=read)
    thread.start()
    count = 0
    while await queue.get() is not None:
        count += 1
    thread.join()
    process.wait()
    return count


async def with_pexpect(path: str) -> int:
    import pexpect

    child = pexpect.spawn("cat", [path], encoding="utf-8")
    count = 0
    while child.readline():
        count += 1
    child.close()
    return count


READERS: list[tuple[str, Callable[[str], Awaitable[int]], int]] = [
    ("talkpath, async for line", talkpath_lines, 2_000_000),
    ("talkpath, async for batch", talkpath_batches, 2_000_000),
    ("asyncio's StreamReader", stream_reader, 500_000),
    ("Popen and a thread", reader_thread, 200_000),
    ("pexpect", with_pexpect, 30_000),
]


def measure_output(directory: str) -> None:
    paths = {}
    for lines in {lines for _, _, lines in READERS}:
        paths[lines] = f"{directory}/{lines}"
        with open(paths[lines], "wb") as file:
            file.write(LINE * lines)
    best = {name: (float("inf"), float("inf")) for name, _, _ in READERS}
    for _ in range(ROUNDS):
        for name, reader, lines in READERS:
            wall, cpu = time.perf_counter(), time.process_time()
            count = asyncio.run(reader(paths[lines]))  # type: ignore[arg-type]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert abs(count - lines) <= lines // 1000, f"{name}: {count} of {lines} lines"
            best[name] = min(best[name][0], wall / lines), min(best[name][1], cpu / lines)
    print(f"{'':28}{'lines/s':>12}{'CPU µs/line':>14}")
    for name, (wall, cpu) in best.items():
        print(f"{name:28}{1 / wall:12,.0f}{cpu * 1e6:14.2f}")


def measure_starting() -> None:
    ballast = bytearray(2**30)
    ballast[::4096] = b"x" * (2**30 // 4096)
    manager = ProcessManager.instance()
    ended: list[subprocess.Popen[bytes]] = []

    def started(start: Callable[[], object]) -> float:
        begin = time.perf_counter()
        start()
        return (time.perf_counter() - begin) * 1e3

    def starting_ours() -> object:
        return manager.sync.start(["true"], output="discard")

    def starting_popen() -> object:
        process = subprocess.Popen(["true"])
        ended.append(process)
        return process

    def starting_with_preexec() -> object:
        process = subprocess.Popen(["true"], preexec_fn=lambda: None)
        ended.append(process)
        return process

    ways = [
        ("talkpath", starting_ours),
        ("Popen", starting_popen),
        ("Popen with preexec_fn", starting_with_preexec),
    ]
    times: dict[str, list[float]] = {name: [] for name, _ in ways}
    # Each by itself: what a fork of so much memory leaves to do slows down whoever comes next.
    for name, start in ways:
        for _ in range(101):
            times[name].append(started(start))
            while ended:
                ended.pop().wait()
            for process in manager.processes:
                process.sync.wait()
        # The first one may have to prepare what the others find.
        del times[name][0]
    print(f"\n{'start with 1 GiB resident':28}{'least ms':>12}{'p50 ms':>14}{'p99 ms':>14}")
    for name, found in times.items():
        print(f"{name:28}{min(found):12.2f}{statistics.median(found):14.2f}{sorted(found)[98]:14.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/dev/shm" if sys.platform == "linux" else None) as directory:
        measure_output(directory)
    measure_starting()
