"""`TALKPATH_DETECT()` in a real Asterisk: it tells when somebody speaks, and of nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import speech
import talkpath
from caller import Caller, Tap
from debian import Tree
from pbx import CONFIGURATION, Call, Message, Pbx, Ports
from speech import Samples

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

MODULE = "func_talkpath"
STARTED, STOPPED = "TalkPathSpeechStarted", "TalkPathSpeechStopped"
HANGOVER_MS = 300
"""How long a pause ends speech, by default."""


@pytest.fixture(scope="module")
def listener(
    tree: Tree, build_module: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pbx]:
    """An Asterisk with the module."""
    folder = tmp_path_factory.mktemp("func") / "run"
    with Pbx(tree, folder, Ports.choose(), [build_module(MODULE)], [CONFIGURATION / MODULE]) as running:
        yield running


@contextmanager
def listened(
    pbx: Pbx, tap: Tap, options: str = "on", direction: str = "rx", rate: int = 8000
) -> Iterator[tuple[Call, Caller]]:
    """A call whose caller is the test, once one direction of it is listened to."""
    call, caller = pbx.tap(tap, direction, context="detect", rate=rate, OPTIONS=options)
    with caller:
        pbx.manager.wait_for("UserEvent", UserEvent="Listening", Call=call.name)
        yield call, caller
    call.wait_until_gone()


def events(call: Call, name: str) -> list[Message]:
    """Returns the module's own events of that name so far."""
    return call.pbx.manager.events("UserEvent", UserEvent=name, Uniqueid=call.agent_channel)


def wait_for(call: Call, name: str, count: int = 1) -> Message:
    """Waits for the event of that name with that number, from 1, and returns it."""
    deadline = time.monotonic() + 30
    while len(events(call, name)) < count:
        call.pbx.manager.wait_for_more(max(0.0, deadline - time.monotonic()))
    return events(call, name)[count - 1]


def state(call: Call, what: str = "", direction: str = "rx") -> str:
    """Returns what the function says."""
    name = f"TALKPATH_DETECT({direction},{what})" if what else f"TALKPATH_DETECT({direction})"
    return call.pbx.manager.action("Getvar", Channel=agent_name(call), Variable=name)["Value"]


def write(call: Call, value: str, direction: str = "rx") -> None:
    """Writes the function."""
    call.pbx.manager.action("Setvar", Channel=agent_name(call), Variable=f"TALKPATH_DETECT({direction})", Value=value)


def agent_name(call: Call) -> str:
    """Returns the name of the channel that is listened to, which actions want."""
    return call.pbx.manager.wait_for("UserEvent", UserEvent="Listening", Call=call.name)["Channel"]


def breaths(prompt: Prompt, rate: int) -> list[Samples]:
    """Returns a few breaths of recorded speech, of half a second and more."""
    samples = prompt("demo-congrats", rate)
    parts = [part for part in speech.phrases(samples, rate, pause_s=0.25) if part.stop - part.start > rate // 2]
    return [samples[part] for part in parts[:4]]


@pytest.mark.parametrize(
    ("rate", "options"),
    [(8000, "on"), (16000, "on"), (48000, "on"), (8000, "detector=silero"), (16000, "detector=silero")],
)
def test_speech_is_told_when_it_begins_and_ends(
    listener: Pbx, tap: Tap, prompt: Prompt, figure: Figure, rate: int, options: str
) -> None:
    source = min(rate, 16000)
    parts = breaths(prompt, source)
    pause = np.zeros(source, np.int16)
    with listened(listener, tap, options, rate=rate) as (call, caller):
        caller.say(resampled(pause, source, rate))
        begins = [caller.say(resampled(np.concatenate([part, pause]), source, rate)) for part in parts]
        late = []
        for number, first in enumerate(begins, 1):
            wait_for(call, STARTED, number)
            late.append(time.monotonic() - caller.sent[first].at)
        wait_for(call, STOPPED, len(parts))
        assert state(call) == "silent"
        assert int(state(call, "onsets")) == len(parts)
    started, stopped = events(call, STARTED), events(call, STOPPED)
    assert len(started) == len(stopped) == len(parts)

    frame_ms = 20
    true_begins = [first * frame_ms for first in begins]
    true_ends = [b + 1000 * part.size / source for b, part in zip(true_begins, parts, strict=True)]
    # The detection began somewhere in the first pause: where, the first onset says.
    origin = np.median([int(e["Position"]) - b for e, b in zip(started, true_begins, strict=True)])
    onsets = [int(e["Position"]) - b - origin for e, b in zip(started, true_begins, strict=True)]
    offsets = [int(e["Position"]) - b - origin for e, b in zip(stopped, true_ends, strict=True)]
    decided = [int(e["Decided"]) - int(e["Position"]) for e in started]
    figure(
        f"{len(parts)} breaths: onsets within {max(map(abs, onsets)):.0f} ms, known after {decided} ms, told at most "
        f"{1000 * max(late):.0f} ms after the first voice; offsets {min(offsets):.0f} to {max(offsets):.0f} ms"
    )
    assert max(map(abs, onsets)) <= 80
    assert all(-200 <= offset <= 120 for offset in offsets)
    assert max(decided) <= 160
    assert max(late) <= 0.5
    for event, begin in zip(stopped, started, strict=True):
        assert int(event["Duration"]) == int(event["Position"]) - int(begin["Position"])
        assert int(event["Decided"]) == int(event["Position"]) + HANGOVER_MS
        assert event["Direction"] == "rx"


def resampled(samples: Samples, source: int, rate: int) -> Samples:
    """Returns `samples` at `rate`."""
    if source == rate:
        return samples
    return np.frombuffer(talkpath.resample(samples.tobytes(), source, rate), np.int16)


@pytest.mark.parametrize("detector", ["phone", "silero"])
def test_silence_and_noise_are_no_speech(listener: Pbx, tap: Tap, prompt: Prompt, detector: str) -> None:
    noise = np.random.default_rng(4).normal(0, 300, 8 * 8000).astype(np.int16)
    with listened(listener, tap, f"detector={detector}") as (call, caller):
        caller.say(np.zeros(3 * 8000, np.int16))
        caller.wait_until_said()
        assert (state(call), state(call, "onsets"), state(call, "speech_ms")) == ("silent", "0", "0")
        assert int(state(call, "heard_ms")) > 2_500
        # A noise that begins all of a sudden may be taken for a voice until it goes on: this one is there already.
        write(call, "off")
        first = caller.say(noise)
        caller.wait_until(lambda: len(caller.sent) > first + 25)
        write(call, f"detector={detector}")
        caller.wait_until_said(and_ms=1000)
        assert (state(call), state(call, "onsets"), state(call, "speech_ms")) == ("silent", "0", "0")
        assert int(state(call, "heard_ms")) > 8_000
        # It is all ears, though.
        caller.say(breaths(prompt, 8000)[0])
        wait_for(call, STARTED)
    assert len(events(call, STARTED)) == 1


def test_what_is_read_follows_the_call(listener: Pbx, tap: Tap, prompt: Prompt) -> None:
    part = breaths(prompt, 8000)[0]
    length_ms = part.size // 8
    with listened(listener, tap) as (call, caller):
        write(call, "min_silence=500,variables=yes")
        assert state(call, "speaking") == "0"
        caller.say(part)
        wait_for(call, STARTED)
        assert (state(call), state(call, "speaking")) == ("speaking", "1")
        assert float(state(call, "level_dbfs")) > -50
        assert 0 <= float(state(call, "score")) <= 1
        stopped = wait_for(call, STOPPED)
        assert int(state(call, "speech_ms")) == int(stopped["Duration"])
        assert abs(int(stopped["Duration"]) - length_ms) <= 200
        assert int(stopped["Decided"]) - int(stopped["Position"]) == 500
        assert int(state(call, "since_ms")) >= 500
        caller.wait_until_said(and_ms=200)
        assert float(state(call, "level_dbfs")) < -60
        set_to = [
            e["Value"]
            for e in listener.manager.events("VarSet", Variable="TALKPATH_RX_SPEAKING", Uniqueid=call.agent_channel)
        ]
        assert set_to == ["1", "0"]


def test_it_ends_and_begins_anew(listener: Pbx, tap: Tap, prompt: Prompt) -> None:
    part = breaths(prompt, 8000)[0]
    with listened(listener, tap) as (call, caller):
        write(call, "off")
        assert state(call) == "off"
        assert state(call, "speech_ms") == ""
        caller.say(part)
        caller.wait_until_said(and_ms=600)
        assert events(call, STARTED) == []
        write(call, "events=talking,sensitivity=0.6")
        caller.say(part)
        listener.manager.wait_for("ChannelTalkingStart", Uniqueid=call.agent_channel)
        over = listener.manager.wait_for("ChannelTalkingStop", Uniqueid=call.agent_channel)
        assert abs(int(over["Duration"]) - part.size // 8) <= 200
        assert events(call, STARTED) == []
        assert int(state(call, "onsets")) == 1


def test_what_is_played_is_heard_too(listener: Pbx, tap: Tap, prompt: Prompt) -> None:
    with listened(listener, tap, direction="tx") as (call, caller):
        write(call, "on", "rx")
        caller.say(breaths(prompt, 8000)[0])
        directions = {wait_for(call, STARTED, number)["Direction"] for number in (1, 2)}
        assert directions == {"rx", "tx"}
        for direction in ("rx", "tx"):
            assert int(state(call, "onsets", direction)) == 1


def test_wrong_options_are_refused(listener: Pbx, tap: Tap) -> None:
    with listened(listener, tap) as (call, _):
        for options in ("detector=ear", "sensitivity=2", "min_speech=soon", "events=all", "loudness=1", "sensitivity"):
            with pytest.raises(RuntimeError):
                write(call, options)
            # What there was goes on.
            assert state(call) == "silent"


def test_it_stays_with_a_call_that_is_moved(listener: Pbx, tap: Tap, prompt: Prompt) -> None:
    part = breaths(prompt, 8000)[0]
    with listened(listener, tap) as (one, caller), listened(listener, tap) as (other, second):
        # Bridging takes both out of their dialplans, by masquerades.
        listener.manager.action("Bridge", Channel1=agent_name(one), Channel2=agent_name(other))
        listener.manager.wait_for("BridgeEnter", Uniqueid=one.agent_channel)
        listener.manager.wait_for("BridgeEnter", Uniqueid=other.agent_channel)
        before = len(events(one, STARTED))
        caller.say(part)
        assert wait_for(one, STARTED, before + 1)["Direction"] == "rx"
        assert wait_for(one, STOPPED, before + 1)["Direction"] == "rx"
        assert events(other, STARTED) == []
        second.say(part)
        wait_for(other, STARTED)
        assert len(events(one, STARTED)) == before + 1


def test_it_loads_and_unloads(listener: Pbx, tap: Tap) -> None:
    since = len(listener.log())
    with listened(listener, tap), pytest.raises(RuntimeError):
        listener.unload_module(f"{MODULE}.so")
    for _ in range(2):
        listener.unload_module(f"{MODULE}.so")
        assert "TALKPATH" not in listener.command("core show functions like TALKPATH_DETECT")
        listener.load_module(f"{MODULE}.so")
        assert "Detects speech on a channel" in listener.command("core show function TALKPATH_DETECT")
    # The first attempt was refused, as a call was listened to.
    assert [line for line in listener.complaints(since) if "func_talkpath" not in line] == []
