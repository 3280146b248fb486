"""Calls over RTP with a real Asterisk 22: ARI's externalMedia, and a SIP call whose audio goes to talkpath itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ari import Ari
from caller import Tap
from pbx import Pbx
from serving import Serving
from sip import PCMU, Phone
from speech import Match, Samples, hold, match_phrases

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

ECHO = "agents:watched_echo"
ANYWHERE = "rtp://127.0.0.1:0"


@pytest.mark.parametrize(("codec", "rate"), [("ulaw", 8000), ("slin16", 16000)])
def test_external_media_hears_itself(
    pbx: Pbx, ari: Ari, tap: Tap, prompt: Prompt, figure: Figure, codec: str, rate: int
) -> None:
    said = prompt("demo-congrats", rate)[: 10 * rate]

    def attempt() -> Match:
        # A busy machine makes Asterisk late, and adaptive playout then moves pauses: a fixed one keeps samples there.
        with Serving(ECHO, ANYWHERE, "--playout", "fixed:200ms") as server:
            call, caller = pbx.tap(tap, "stasis", rate=rate)
            with caller, ari.external_media(call.agent_channel, f"127.0.0.1:{server.port}", codec):
                server.wait_for("Started")
                caller.say(np.zeros(rate // 2, np.int16))
                caller.say(said)
                caller.wait_until_said(and_ms=800)
                heard = caller.all_heard()
            server.wait_for("Ended")
            server.check_never_dry()
        return match_phrases(said, heard, rate)

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.99


def test_a_channel_that_is_gone_ends_the_call(pbx: Pbx, ari: Ari, tap: Tap) -> None:
    # UnicastRTP has no RTCP and says no goodbye: what tells is that its port is closed.
    with Serving(ECHO, ANYWHERE) as server:
        call, caller = pbx.tap(tap, "stasis")
        with caller:
            with ari.external_media(call.agent_channel, f"127.0.0.1:{server.port}", "ulaw"):
                server.wait_for("Started")
            assert server.wait_for("Ended")["reason"] == "caller_hangup"


def test_each_key_arrives_once_each_way(pbx: Pbx, tmp_path: Path) -> None:
    # externalMedia has no keys: it agrees upon no number for them. A SIP call has, and its audio may go anywhere.
    keys = "159*0#DD"
    pbx.press_in_calls(keys)
    before = len(pbx.manager.events("DTMFEnd", Direction="Received"))
    with Serving("agents:echo_keys", ANYWHERE) as server:
        Phone(pbx, PCMU, tmp_path).hand_over("3001", server.port, 5_000)
        assert server.wait_for("Ended")["reason"] == "caller_hangup"
        heard = [line["digit"] for line in server.events("Dtmf")]
    returned = [event["Digit"] for event in pbx.manager.events("DTMFEnd", Direction="Received")[before:]]
    assert heard == list(keys)
    assert returned == list(keys)
