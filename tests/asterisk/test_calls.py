"""What else happens in a real call: keys, who hangs up, a server that is not there, the printed dialplan."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from caller import Tap
from pbx import Pbx, free_tcp_port
from serving import Serving
from speech import Match, Samples, hold, match

Prompt = Callable[[str, int], Samples]

AGENTS = ["app", "dial-slin16"]


@pytest.mark.parametrize("agent", AGENTS)
def test_each_key_arrives_once(pbx: Pbx, agent: str) -> None:
    digits = "159*0#DD"
    with Serving("agents:watched_echo") as server:
        pbx.send_calls_to(server.port)
        call = pbx.place(agent, "keys", DIGITS=digits)
        call.wait_until_done()
        call.hang_up()
        server.wait_for("Ended")
        heard = [line["digit"] for line in server.events("Dtmf")]
    assert heard == list(digits)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_callers_hangup_ends_the_call(pbx: Pbx, agent: str) -> None:
    with Serving("agents:watched_echo") as server:
        pbx.send_calls_to(server.port)
        call = pbx.place(agent, "stay")
        server.wait_for("Started")
        call.hang_up()
        assert server.wait_for("Ended")["reason"] == "caller_hangup"
        call.wait_until_gone()


@pytest.mark.parametrize("agent", AGENTS)
def test_after_the_agents_hangup_the_dialplan_goes_on(pbx: Pbx, tap: Tap, prompt: Prompt, agent: str) -> None:
    with Serving("agents:hang_up_on_speech") as server:
        pbx.send_calls_to(server.port)
        call, caller = pbx.tap(tap, agent)
        with caller:
            caller.say(prompt("vm-intro", 8000))
            assert call.wait_until_agent_left() in ("returned", "ANSWER")
            caller.wait_until_hung_up()
        call.wait_until_gone()
        assert server.wait_for("Ended")["reason"] == "agent_hangup"


def test_without_a_server_the_channel_driver_lets_the_dialplan_go_on(pbx: Pbx) -> None:
    pbx.send_calls_to(free_tcp_port())
    call = pbx.place("dial-slin", "stay")
    assert call.wait_until_agent_left() == "CHANUNAVAIL"
    call.wait_until_gone()


def test_without_a_server_the_application_ends_the_call(pbx: Pbx) -> None:
    pbx.send_calls_to(free_tcp_port())
    pbx.place("app", "stay").wait_until_gone()


@pytest.mark.parametrize(("options", "rate"), [([], 8000), (["--wideband"], 16000)], ids=["8 kHz", "16 kHz"])
def test_the_printed_dialplan_carries_a_call(pbx: Pbx, tap: Tap, prompt: Prompt, options: list[str], rate: int) -> None:
    said = prompt("vm-intro", rate)[: 4 * rate]

    def attempt() -> Match:
        with Serving("agents:watched_echo") as server:
            printed = subprocess.run(
                [sys.executable, "-m", "talkpath", "dialplan", "--port", str(server.port), *options],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            pbx.load_dialplan(printed)
            assert "AudioSocket" in pbx.command("dialplan show talkpath")
            _, caller = pbx.tap(tap, "s", context="talkpath", rate=rate)
            with caller:
                caller.say(np.zeros(rate // 2, np.int16))
                caller.say(said)
                caller.wait_until_said(and_ms=800)
                heard = caller.all_heard()
            server.wait_for("Ended")
            server.check_never_dry()
        return match(said, heard)

    assert hold(attempt).correlation >= 0.999
