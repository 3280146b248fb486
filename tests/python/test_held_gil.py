"""The wire while an agent holds the interpreter: the phone, in another process, misses nothing.

A handler that computes, or sits in an extension that does not let go, stops all Python of its process for half a second
at a time. The core's threads need no Python.
"""

import subprocess
import sys
from typing import Any

import pytest

from talkpath._talkpath import Caller

_AGENT = """
import asyncio, ctypes, sys, talkpath

hold = ctypes.PyDLL(None).usleep  # PyDLL: the call keeps the interpreter locked

async def agent(session):
    await session.output.write(bytes(16000 * 10), rate=8000, tag="speech")
    for _ in range(4):
        hold(500_000)
        await asyncio.sleep(0.05)
    await session.hangup(after_drain=False)

async def main():
    async with talkpath.Server(agent, "audiosocket://127.0.0.1:0") as server:
        print(server.address, flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


def test_no_frame_is_missing_while_the_interpreter_is_held() -> None:
    # A busy machine can stall the wire by itself now and then; an interpreter that is held would do it each time.
    reports = []
    for _ in range(3):
        reports.append(call_an_agent_that_holds_the_interpreter())
        if reports[-1]["longest_gap_ms"] < 40:
            break
    report = reports[-1]
    assert report["connected"] == 1
    assert report["elapsed_ms"] == pytest.approx(2200, abs=400)
    assert report["frames_received"] >= 100
    assert report["frames_lost"] == 0
    assert report["longest_gap_ms"] < 40, [each["longest_gap_ms"] for each in reports]


def call_an_agent_that_holds_the_interpreter() -> dict[str, Any]:
    with subprocess.Popen([sys.executable, "-c", _AGENT], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            return Caller(address, bytes(320), 8000, duration_ms=2500, loop_audio=True).finish()
        finally:
            server.kill()
