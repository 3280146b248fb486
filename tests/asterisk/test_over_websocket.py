"""Calls over chan_websocket with a real Asterisk 22, whichever side connects, in either form of control messages."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from caller import Caller, Tap
from debian import Tree
from pbx import Call, Pbx
from serving import Calling, Program, Serving
from speech import Match, Samples, hold, match
from test_barge_in import Overlap, phrases

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

JSON = "f(json)"
CHANNELS = [
    pytest.param("ws-ulaw", 8000, "", id="connects, ulaw"),
    pytest.param("ws-slin16", 16000, JSON, id="connects, slin16, JSON"),
    pytest.param("wait-slin16", 16000, "", id="waits, slin16"),
    pytest.param("wait-slin", 8000, JSON, id="waits, slin, JSON"),
]


@contextmanager
def agent(pbx: Pbx, name: str, channel: str, place: Callable[[str], Call]) -> Iterator[tuple[Program, Call]]:
    """Has an agent take the call that `place` places: it serves, or calls out where the channel waits for it.

    The call's id is the dialplan's own where Asterisk connects, and the connection's where it waits.
    """
    identity = str(uuid.uuid4())
    if channel.startswith("wait-"):
        call = place(identity)
        url = call.websocket_url()
        with Calling(name, url) as program:
            program.wait_for("Started", call=url.rpartition("/")[2])
            yield program, call
    else:
        listen = f"ws://asterisk:sesame@127.0.0.1:{pbx.ports.websocket}/media"
        with Serving(f"agents:{name}", listen) as program:
            call = place(identity)
            program.wait_for("Started", call=identity)
            yield program, call


@contextmanager
def tapped(
    pbx: Pbx, tap: Tap, name: str, channel: str, rate: int, control: str
) -> Iterator[tuple[Program, Call, Caller]]:
    """The same, with the test itself as the caller."""
    callers: list[Caller] = []

    def place(identity: str) -> Call:
        call, caller = pbx.tap(tap, channel, rate=rate, CONTROL=control, CALL_ID=identity)
        callers.append(caller)
        return call

    with agent(pbx, name, channel, place) as (program, call):
        with callers[0] as caller:
            yield program, call, caller
        call.wait_until_gone()
        program.wait_for("Ended")


@pytest.mark.parametrize(("channel", "rate", "control"), CHANNELS)
def test_a_call_hears_itself(
    pbx: Pbx, tap: Tap, prompt: Prompt, figure: Figure, channel: str, rate: int, control: str
) -> None:
    said = prompt("demo-congrats", rate)[: 10 * rate]

    def attempt() -> Match:
        with tapped(pbx, tap, "watched_echo", channel, rate, control) as (program, _, caller):
            caller.say(np.zeros(rate // 2, np.int16))
            caller.say(said)
            caller.wait_until_said(and_ms=800)
            heard = caller.all_heard()
        program.check_never_dry()
        return match(said, heard)

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.99


@pytest.mark.parametrize(("channel", "rate", "control"), CHANNELS)
def test_each_key_arrives_once(pbx: Pbx, channel: str, rate: int, control: str) -> None:
    digits = "159*0#DDA"

    def place(identity: str) -> Call:
        return pbx.place(channel, "stay", CONTROL=control, CALL_ID=identity)

    with agent(pbx, "watched_echo", channel, place) as (program, call):
        call.press(digits)
        program.wait_for("Dtmf", digit=digits[-1])
        call.hang_up()
        assert program.wait_for("Ended")["reason"] == "caller_hangup"
        heard = [line["digit"] for line in program.events("Dtmf")]
    assert heard == list(digits)


@pytest.mark.parametrize(("channel", "rate", "control"), CHANNELS)
def test_after_the_agents_hangup_the_dialplan_goes_on(
    pbx: Pbx, tap: Tap, prompt: Prompt, channel: str, rate: int, control: str
) -> None:
    with tapped(pbx, tap, "hang_up_on_speech", channel, rate, control) as (program, call, caller):
        caller.say(prompt("vm-intro", rate))
        assert call.wait_until_agent_left() == "ANSWER"
        caller.wait_until_hung_up()
        assert program.wait_for("Ended")["reason"] == "agent_hangup"


def test_an_interruption_is_heard_at_once_and_told_as_it_was_heard(
    pbx: Pbx, tree: Tree, tap: Tap, figure: Figure
) -> None:
    with tapped(pbx, tap, "watched_tone", "ws-slin", 8000, "") as (program, _, caller):
        overlap = Overlap(caller, phrases(tree)[0])
        overlap.talk_over_it()
        overlap.finish()
        receipt = program.wait_for("Interrupted", cause="barge_in")["receipt"]
    after_ms = overlap.after_voice_ms()
    heard_ms = sum(frame.loud for frame in caller.heard) * 20
    played_ms = sum(segment["played_ms"] for segment in receipt["segments"])
    figure(
        f"last agent frame {after_ms:.0f} ms after the first voiced sample; heard {heard_ms} ms, "
        f"said to be played {played_ms:.0f} ms"
    )
    assert receipt["certainty"] == "acked"
    # Asterisk reads and writes each channel once in 20 ms, on both of its sides and in both directions.
    assert after_ms <= 160 + 80
    # A mark comes back when the frame before it is over, and one frame may be under way to the caller.
    assert abs(heard_ms - played_ms) <= 60
