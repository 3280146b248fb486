"""Many calls through `TalkPath()` at once: no frame is lost on its side, and memory stays where it is.

Twenty calls for ten seconds; TALKPATH_LOAD=100x60 makes it a hundred for a minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from caller import Tap
from debian import Tree
from pbx import CONFIGURATION, Call, Pbx, Ports
from serving import Serving

Figure = Callable[[str], None]

MODULE = "app_talkpath"
CALLS, SECONDS = map(int, os.environ.get("TALKPATH_LOAD", "20x10").split("x"))
ATTEMPTS = 3


@dataclass(frozen=True)
class Load:
    """What many calls at once came to."""

    sent: int
    """Frames that went to the callers."""
    lost: int
    fewest: int
    """Frames of the call that had the fewest."""
    memory_kib: tuple[int, int]
    """Once all calls ran, and before the first of them ended."""
    per_call: float
    """Share of a processor that Asterisk took for each, both ends of it."""


@pytest.fixture(scope="module")
def app(tree: Tree, build_module: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    """An Asterisk with the application, and nothing before in its memory."""
    folder = tmp_path_factory.mktemp("load") / "run"
    with Pbx(tree, folder, Ports.choose(), [build_module(MODULE)], [CONFIGURATION / MODULE]) as running:
        yield running


def carry(app: Pbx, tap: Tap, port: int, sound: Path) -> Load:
    """Has CALLS calls for SECONDS; the caller of one is the test, those of the others play a recording."""
    agent = f"127.0.0.1:{port}"

    def place() -> Call:
        return app.place("run", "play", context="app", AGENTS=agent, OPTIONS="B", SOUND=sound, SECONDS=SECONDS + 2)

    before = app.processor_seconds()
    placed = [place() for _ in range(CALLS - 1)]
    call, caller = app.tap(tap, "run", context="app", AGENTS=agent, OPTIONS="B")
    with caller:
        for one in (*placed, call):
            app.manager.wait_for("UserEvent", UserEvent="TalkPathConnected", Uniqueid=one.agent_channel)
        caller.wait_until(lambda: len(caller.heard) >= SECONDS * 50 // 5, 60 + SECONDS)
        memory = app.resident_kib()
        caller.wait_until(lambda: len(caller.heard) >= SECONDS * 50, 60 + SECONDS)
        grown = app.resident_kib()
    left = [app.manager.wait_for("UserEvent", UserEvent="AppOver", Call=one.name) for one in (*placed, call)]
    sent = [int(one["Out"]) for one in left]
    spent = app.processor_seconds() - before
    return Load(sum(sent), sum(int(one["Lost"]) for one in left), min(sent), (memory, grown), spent / (sum(sent) / 50))


def test_no_frame_is_lost_and_memory_is_flat(app: Pbx, tree: Tree, tap: Tap, figure: Figure) -> None:
    with Serving("echo") as server:
        files = app.fewest_descriptors()
        for _ in range(ATTEMPTS):
            load = carry(app, tap, server.port, tree.sounds / "demo-congrats")
            figure(
                f"{CALLS} calls of {SECONDS} s: {load.sent} frames, {load.lost} lost; memory {load.memory_kib[0]} KiB"
                f" at first, {load.memory_kib[1]} at last; {load.per_call:.2%} of a processor a call, both ends of it"
            )
            # A thread that no processor was free for is late, whatever it does: that is not what is asked here.
            if not load.lost:
                break
    assert load.lost == 0
    assert load.fewest >= SECONDS * 50
    # An allocator keeps some; one frame in two that is kept, each way 320 bytes and what belongs to it, is a leak.
    assert (load.memory_kib[1] - load.memory_kib[0]) * 1024 <= load.sent * 320
    assert app.fewest_descriptors(at_most=files) <= files
