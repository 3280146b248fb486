"""What `talkpath serve --agent echo` returns through a real Asterisk is what was said, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caller import Caller, Tap
from pbx import Pbx
from serving import Serving
from sip import L16_WIDE, PCMU, Codec, Phone
from speech import Match, Samples, hold, match

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

ECHO = "agents:watched_echo"
TRANSPORTS = [
    pytest.param("app", 8000, id="AudioSocket() 8 kHz"),
    pytest.param("dial-slin", 8000, id="Dial slin"),
    pytest.param("dial-slin16", 16000, id="Dial slin16"),
]


def lead(rate: int) -> Samples:
    """Half a second of silence: what a phone sends before its owner speaks."""
    return np.zeros(rate // 2, np.int16)


@pytest.mark.parametrize(("agent", "rate"), TRANSPORTS)
def test_a_local_call_hears_itself(pbx: Pbx, tap: Tap, prompt: Prompt, figure: Figure, agent: str, rate: int) -> None:
    said = prompt("demo-congrats", rate)[: 10 * rate]

    def attempt() -> Match:
        with Serving(ECHO) as server:
            pbx.send_calls_to(server.port)
            call, caller = pbx.tap(tap, agent, rate=rate)
            with caller:
                caller.say(lead(rate))
                caller.say(said)
                caller.wait_until_said(and_ms=800)
                heard = caller.all_heard()
                assert caller.heard_rates == {rate}
            call.wait_until_gone()
            server.check_never_dry()
        return match(said, heard)

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.999


@pytest.mark.parametrize(
    ("number", "codec", "rate"),
    [pytest.param("1001", PCMU, 8000, id="PCMU"), pytest.param("2001", L16_WIDE, 16000, id="L16 at 16 kHz")],
)
def test_a_sip_call_hears_itself(
    pbx: Pbx, prompt: Prompt, figure: Figure, tmp_path: Path, number: str, codec: Codec, rate: int
) -> None:
    said = codec.decode(codec.encode(prompt("demo-congrats", rate)[: 8 * rate]))

    def attempt() -> Match:
        with Serving(ECHO) as server:
            pbx.send_calls_to(server.port)
            heard = Phone(pbx, codec, tmp_path).call(number, codec.encode(np.concatenate([lead(rate), said])), 1000)
            server.check_never_dry()
        return match(said, codec.decode(heard))

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.999


def test_calls_at_the_same_time_do_not_mix(pbx: Pbx, tap: Tap, prompt: Prompt, figure: Figure) -> None:
    names = ["demo-congrats", "demo-instruct", "vm-intro", "tt-weasels"]
    said = [prompt(name, 8000)[:16000] for name in names]

    def attempt() -> Match:
        with Serving(ECHO) as server:
            pbx.send_calls_to(server.port)
            calls = [pbx.tap(tap, "app") for _ in said]
            callers: list[Caller] = [caller for _, caller in calls]
            for caller, words in zip(callers, said, strict=True):
                caller.say(lead(8000))
                caller.say(words)
            for caller in callers:
                caller.wait_until_said(and_ms=800)
            heard = [caller.all_heard() for caller in callers]
            for call, caller in calls:
                caller.hang_up()
                call.wait_until_gone()
            server.check_never_dry()
        return min(
            (match(words, echo) for words, echo in zip(said, heard, strict=True)), key=lambda found: found.correlation
        )

    found = hold(attempt)
    figure(f"{len(said)} calls, the worst: correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.999
