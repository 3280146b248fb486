"""Ctrl-C and SIGTERM stop a server in peace; a second Ctrl-C at once."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from talkpath._talkpath import Caller

_SERVER = """
import asyncio, talkpath

class Announced(talkpath.Server):
    async def __aenter__(self):
        await super().__aenter__()
        print(self.address, flush=True)
        return self

async def agent(session):
    async for event in session.events():
        print(type(event).__name__, getattr(event, "reason", ""), flush=True)
        if isinstance(event, talkpath.Started):
            await session.output.write(bytes(16 * {speech_ms}), rate=8000)

import talkpath.server
talkpath.server.Server = Announced
talkpath.run(agent, "audiosocket://127.0.0.1:0")
print("stopped", flush=True)
"""


@contextmanager
def server(speech_ms: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    program = _SERVER.replace("{speech_ms}", str(speech_ms))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(30, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            guard.cancel()
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_a_server_and_its_calls(number: signal.Signals) -> None:
    with server(speech_ms=100) as (process, address):
        caller = Caller(address, bytes(320), 8000, duration_ms=20_000, loop_audio=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Started")
        process.send_signal(number)
        said = process.stdout.read()
        assert process.wait() == 0
    assert "Ended" in said
    assert said.endswith("stopped\n")
    assert caller.finish()["ended_early"] == 1


def test_a_second_signal_does_not_wait_for_calls() -> None:
    with server(speech_ms=60_000) as (process, address):
        caller = Caller(address, bytes(320), 8000, duration_ms=20_000, loop_audio=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Started")
        process.send_signal(signal.SIGINT)
        # The server has closed its door once a new call fails; the one that runs still has its five seconds.
        while not Caller(address, bytes(320), 8000, duration_ms=20).finish()["failed"]:
            pass
        assert not caller.poll()["is_finished"]
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait() == 0
    assert said.endswith("stopped\n")
    assert caller.finish()["elapsed_ms"] < 5000
