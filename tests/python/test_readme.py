"""The agent in the README is run as it stands there: it answers a caller, and again after it was interrupted."""

import asyncio
import re
import wave
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import talkpath
from audio import samples
from talkpath.testing import Phone

README = Path(__file__).parents[2] / "README.md"


def _speech(name: str) -> bytes:
    with files("talkpath").joinpath("data", name).open("rb") as file, wave.open(file) as recording:
        return recording.readframes(recording.getnframes())


async def test_the_agent_of_the_readme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(import asyncio.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    handlers: list[talkpath.Handler] = []
    monkeypatch.setattr(talkpath, "run", handlers.append)
    exec(compile(found[1], str(README), "exec"), {"__name__": "readme"})

    async with (
        talkpath.Server(handlers[0], "audiosocket://127.0.0.1:0") as server,
        Phone(server.address) as phone,
    ):
        await phone.say(_speech("question.wav"))
        await phone.say(bytes(2 * 8 * 1500))
        answered = max(samples(bytes(phone.heard)))
        phone.heard.clear()
        await phone.say(_speech("interruption.wav"))
        await phone.say(bytes(2 * 8 * 1500))
        again = max(samples(bytes(phone.heard[-2 * 8 * 1000 :])))
    assert answered > 1000, "an answer"
    assert again > 1000, "and another one after the interruption"
    assert re.search(r"the caller heard \d+ of \d+ ms", capsys.readouterr().out)


async def test_the_bus_of_the_readme(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(bus = .*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    printed = ""

    async def serve_one_call(handler: talkpath.Handler, *, bus: talkpath.EventBus) -> None:
        nonlocal printed
        async with talkpath.Server(handler, "audiosocket://127.0.0.1:0", bus=bus) as server:
            async with Phone(server.address) as phone:
                await phone.say(bytes(2 * 8 * 200))
            async with asyncio.timeout(10):
                while "session:ended" not in printed:
                    await asyncio.sleep(0)
                    printed += capsys.readouterr().out

    async def agent(session: talkpath.Session) -> None:
        async for _ in session.input():
            pass

    monkeypatch.setattr(talkpath, "serve", serve_one_call)
    names: dict[str, Any] = {"asyncio": asyncio, "talkpath": talkpath, "agent": agent}
    exec(compile(found[1], str(README), "exec"), names)
    await names["main"]()
    kinds = [line.split()[1] for line in printed.splitlines()]
    assert kinds[0] == "session:started"
    assert kinds[-1] == "session:ended"
