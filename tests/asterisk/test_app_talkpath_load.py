"""Many calls through `TalkPath()` at once: no frame is lost on its side, and memory stays where it is.

Twenty calls for ten seconds; TALKPATH_LOAD=100x60 makes it a hundred for a minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from debian import Tree
from pbx import CONFIGURATION, Call, Pbx, Ports
from serving import Serving

Figure = Callable[[str], None]

MODULE = "app_talkpath"
CALLS, SECONDS = map(int, os.environ.get("TALKPATH_LOAD", "20x10").split("x"))


def carry(app: Pbx, port: int, calls: int, seconds: int, sound: Path) -> list[dict[str, str]]:
    """Has so many calls at once, whose callers play a recording for so long; returns what each left."""

    def place() -> Call:
        agents = {"AGENTS": f"127.0.0.1:{port}", "OPTIONS": "B"}
        return app.place("run", "play", context="app", SOUND=sound, SECONDS=seconds, **agents)

    placed = [place() for _ in range(calls)]
    return [app.manager.wait_for("UserEvent", 120 + seconds, UserEvent="AppOver", Call=call.name) for call in placed]


def test_no_frame_is_lost_and_memory_is_flat(
    tree: Tree, build_module: Callable[[str], Path], tmp_path: Path, figure: Figure
) -> None:
    sound = tree.sounds / "demo-congrats"
    modules, configuration = [build_module(MODULE)], [CONFIGURATION / MODULE]
    with Pbx(tree, tmp_path / "run", Ports.choose(), modules, configuration) as app, Serving("echo") as server:
        # What Asterisk and the allocator keep for good after the first calls is no leak.
        carry(app, server.port, CALLS, 2, sound)
        before, threads, files = app.resident_kib(), app.processor_seconds(), app.descriptors()
        found = carry(app, server.port, CALLS, SECONDS, sound)
        after, spent = app.resident_kib(), app.processor_seconds() - threads
        left_open = app.descriptors() - files
    lost, out = ([int(call[key]) for call in found] for key in ("Lost", "Out"))
    figure(
        f"{CALLS} calls of {SECONDS} s: {sum(out)} frames out, {sum(lost)} lost; memory {before} KiB before, {after}"
        f" after; Asterisk took {spent / (sum(out) / 50) * 100:.2f} % of a processor a call, both its ends"
    )
    assert sum(lost) == 0
    assert np.min(out) >= SECONDS * 50 - 5
    assert left_open == 0
    # A page for each call would be one more than any needs.
    assert after - before <= 4 * CALLS + 1024
