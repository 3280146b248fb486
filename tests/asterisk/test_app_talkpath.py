"""`TalkPath()` in a real Asterisk: whatever the agent does, the caller hears it on time, and the dialplan goes on."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ari import APP, Ari
from caller import Caller, Tap
from debian import Tree
from pbx import CONFIGURATION, Call, Message, Pbx, Ports, free_tcp_port
from raw_agent import RawAgent
from serving import Serving
from sip import L16_WIDE, PCMU, Codec, Phone
from speech import Match, RanDry, Samples, hold, match
from test_barge_in import Overlap, phrases
from test_echo import lead

Prompt = Callable[[str, int], Samples]
Figure = Callable[[str], None]

ECHO = "agents:watched_echo"
MODULE = "app_talkpath"


@pytest.fixture(scope="module")
def app(tree: Tree, build_module: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    """An Asterisk with the application."""
    folder = tmp_path_factory.mktemp("app") / "run"
    with Pbx(tree, folder, Ports.choose(), [build_module(MODULE)], [CONFIGURATION / MODULE]) as running:
        yield running


def tone(seconds: float, rate: int = 8000) -> Samples:
    """Returns a tone no frame of which is silent."""
    return np.array(
        [round(9000 * math.sin(2 * math.pi * 440 * i / rate)) for i in range(int(seconds * rate))], np.int16
    )


def place(app: Pbx, port: int, options: str = "", caller: str = "stay", **variables: object) -> Call:
    """Places a call to the application, without a telephone."""
    return app.place("run", caller, context="app", AGENTS=f"127.0.0.1:{port}", OPTIONS=options, **variables)


def tapped(app: Pbx, tap: Tap, port: int, options: str = "", rate: int = 8000) -> tuple[Call, Caller]:
    """Places a call to the application whose caller is the test itself."""
    return app.tap(tap, "run", context="app", rate=rate, AGENTS=f"127.0.0.1:{port}", OPTIONS=options)


def left(call: Call) -> Message:
    """Waits until the dialplan goes on, and returns what the application left to it."""
    return call.pbx.manager.wait_for("UserEvent", UserEvent="AgentLeft", Call=call.name)


def over(call: Call) -> Message:
    """Waits until the caller's hangup has ended the application, and returns what it left to the extension h."""
    return call.pbx.manager.wait_for("UserEvent", UserEvent="AppOver", Call=call.name)


def check_even(app: Pbx, count: int) -> None:
    """Raises `RanDry` where the last of so many calls had gaps to fill, or delay to make up for."""
    last = app.manager.wait_for_count(count, "UserEvent", UserEvent="TalkPathEnded")[-1]
    uneven = {name: last[name] for name in ("FramesLost", "Underruns", "LateMs", "SkippedMs") if last[name] != "0"}
    if uneven:
        raise RanDry(f"the call was not even: {uneven}")


def ended(app: Pbx) -> int:
    """Returns how many calls have come to their end."""
    return len(app.manager.events("UserEvent", UserEvent="TalkPathEnded"))


def told(call: Call, event: str) -> Message:
    """Waits for the first of the application's own events of that name and call."""
    return call.pbx.manager.wait_for("UserEvent", UserEvent=event, Uniqueid=call.agent_channel)


# --- what comes back is what was said


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_local_call_hears_itself(app: Pbx, tap: Tap, prompt: Prompt, figure: Figure, rate: int) -> None:
    said = prompt("demo-congrats", rate)[: 10 * rate]

    def attempt() -> Match:
        before = ended(app)
        with Serving(ECHO) as server:
            call, caller = tapped(app, tap, server.port, "B", rate)
            with caller:
                caller.say(lead(rate))
                caller.say(said)
                caller.wait_until_said(and_ms=800)
                heard = caller.all_heard()
                assert caller.heard_rates == {rate}
            assert over(call)["Status"] == "HANGUP"
            assert server.wait_for("Started")["rate"] == rate
            assert server.wait_for("Ended")["reason"] == "caller_hangup"
            server.check_never_dry()
            check_even(app, before + 1)
        return match(said, heard)

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.99


@pytest.mark.parametrize(
    ("number", "codec", "rate"),
    [pytest.param("4001", PCMU, 8000, id="PCMU"), pytest.param("4002", L16_WIDE, 16000, id="L16 at 16 kHz")],
)
def test_a_sip_call_hears_itself(
    app: Pbx, prompt: Prompt, figure: Figure, tmp_path: Path, number: str, codec: Codec, rate: int
) -> None:
    said = codec.decode(codec.encode(prompt("demo-congrats", rate)[: 8 * rate]))

    def attempt() -> Match:
        before = ended(app)
        with Serving(ECHO) as server:
            app.send_calls_to(server.port)
            # Who says no more still sends: from a phone that stops, the echo would have a gap.
            speech = np.concatenate([lead(rate), said, np.zeros(rate, np.int16)])
            heard = Phone(app, codec, tmp_path).call(number, codec.encode(speech), 60)
            assert server.wait_for("Started")["rate"] == rate
            server.check_never_dry()
            check_even(app, before + 1)
        return match(said, codec.decode(heard))

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}, {found.equal:.2%} of samples equal")
    assert found.correlation >= 0.99


def test_the_parrot_repeats_the_caller(app: Pbx, tap: Tap, prompt: Prompt, figure: Figure) -> None:
    said = prompt("vm-intro", 8000)[: 3 * 8000]

    def attempt() -> Match:
        before = ended(app)
        with Serving("agents:watched_parrot") as server:
            call, caller = tapped(app, tap, server.port)
            with caller:
                caller.say(lead(8000))
                caller.say(said)
                server.wait_for("Drained")
                caller.wait_until_said(and_ms=500)
                heard = caller.all_heard()
            assert over(call)["Status"] == "HANGUP"
            server.check_never_dry()
            check_even(app, before + 1)
        return match(said, heard)

    found = hold(attempt)
    figure(f"correlation {found.correlation:.6f}")
    assert found.correlation >= 0.9


@pytest.mark.parametrize(("codec", "rate"), [("slin", 8000), ("slin24", 24000), ("slin48", 48000)])
def test_the_agent_gets_the_codec_that_was_chosen(app: Pbx, tap: Tap, codec: str, rate: int) -> None:
    with Tap() as agents:
        call, caller = tapped(app, tap, agents.port, f"c({codec})", 16000)
        with caller, agents.accept(rate) as agent:
            agent.wait_until(lambda: len(agent.heard) >= 10)
            assert agent.heard_rates == {rate}
            assert {frame.samples.size for frame in agent.heard} == {rate // 50}
            agent.say(tone(0.5, rate))
            caller.wait_until(lambda: sum(frame.loud for frame in caller.heard) >= 20)
        call.wait_until_gone()


# --- interruption


def test_a_caller_who_speaks_silences_an_agent_that_does_not_listen(
    app: Pbx, tree: Tree, tap: Tap, figure: Figure
) -> None:
    with Tap() as agents:
        call, caller = tapped(app, tap, agents.port)
        with caller, agents.accept(8000) as agent:
            overlap = Overlap(caller, phrases(tree)[0])
            agent.say(tone(6.0))
            overlap.talk_over_it()
            overlap.finish()
            heard = sum(frame.loud for frame in caller.heard)
            interrupted = told(call, "TalkPathInterrupted")
            # It goes on with what it was saying, and is not heard; then it pauses, and may speak again.
            agent.wait_until_said(and_ms=400)
            assert sum(frame.loud for frame in caller.heard) == heard
            agent.say(tone(0.5))
            caller.wait_until(lambda: sum(frame.loud for frame in caller.heard) >= heard + 20)
            told(call, "TalkPathSpeechStarted")
            told(call, "TalkPathSpeechStopped")
        assert over(call)["Status"] == "HANGUP"
        assert told(call, "TalkPathEnded")["Interruptions"] == "1"
    after_ms = overlap.after_voice_ms()
    figure(
        f"last agent frame {after_ms:.0f} ms after the first voiced sample; {heard * 20} ms heard, "
        f"{interrupted['Played']} ms said to be played, {interrupted['Discarded']} ms not"
    )
    assert after_ms <= 160 + 80
    # The fade that ends it is heard, too, and where the agent was uneven a frame is partly tone at either end.
    assert abs(int(interrupted["Played"]) - heard * 20) <= 80


def test_with_barge_in_off_the_agent_goes_on(app: Pbx, tree: Tree, tap: Tap) -> None:
    with Tap() as agents:
        call, caller = tapped(app, tap, agents.port, "B")
        with caller, agents.accept(8000) as agent:
            agent.say(tone(3.0))
            caller.say(phrases(tree)[0])
            agent.wait_until_said(and_ms=200)
            caller.wait_until(lambda: sum(frame.loud for frame in caller.heard) >= 149)
        call.wait_until_gone()
        assert told(call, "TalkPathEnded")["Interruptions"] == "0"


# --- pacing


def test_a_burst_is_played_as_it_is_heard(app: Pbx, tap: Tap, figure: Figure) -> None:
    def early_ms() -> float:
        with RawAgent() as agent:
            call, caller = tapped(app, tap, agent.port)
            with caller:
                agent.accept()
                agent.say(tone(5.0))
                caller.wait_until(lambda: sum(frame.loud for frame in caller.heard) >= 250)
                agent.hang_up()
                assert left(call)["Status"] == "AGENT"
            call.wait_until_gone()
        loud = [index for index, frame in enumerate(caller.heard) if frame.loud]
        # Nothing of it is cut out or filled in.
        assert len(loud) in (250, 251)
        assert loud[-1] - loud[0] == len(loud) - 1
        at = [caller.heard[index].at for index in loud]
        return max(0.0, *((at[0] - now) * 1000 + 20 * n for n, now in enumerate(at)))

    early = least(early_ms, 60)
    figure(f"at most {early:.1f} ms before its time")
    assert early <= 60


def test_what_the_agent_said_before_it_hung_up_is_heard_to_its_end(app: Pbx, tap: Tap, prompt: Prompt) -> None:
    said = prompt("vm-intro", 8000)[: 3 * 8000]
    with RawAgent() as agent:
        call, caller = tapped(app, tap, agent.port)
        with caller:
            agent.accept()
            agent.say(said)
            agent.hang_up()
            found = left(call)
            heard = caller.all_heard()
        call.wait_until_gone()
    assert found["Status"] == "AGENT"
    # The last 5 ms are faded out.
    assert match(said, heard).correlation >= 0.999


def test_audio_that_was_held_up_is_left_out_and_what_follows_is_on_time(app: Pbx, tap: Tap) -> None:
    frame = tone(0.02)

    def off_ms() -> float:
        with RawAgent() as agent:
            call, caller = tapped(app, tap, agent.port, "l(200)")
            with caller:
                agent.accept()
                # A live agent: a frame for each frame that it hears, for three seconds; then it is held up for one.
                for n in range(150):
                    agent.wait_until_heard(19 + 323 * n)
                    agent.say(frame)
                agent.wait_until_heard(19 + 323 * 200)
                agent.say(tone(1.0))
                for n in range(200, 250):
                    agent.wait_until_heard(19 + 323 * n)
                    agent.say(frame)
                agent.hang_up()
                found = left(call)
            call.wait_until_gone()
        assert found["Status"] == "AGENT"
        return abs(int(found["Late"]) - 800)

    # All but 200 ms of the second, give or take what the clock does between the test and Asterisk.
    assert least(off_ms, 160) <= 160


def least(attempt: Callable[[], float], wanted: float) -> float:
    """Returns the least of up to three attempts: who is late on a busy machine is not always who is measured."""
    found = [attempt()]
    while found[-1] > wanted and len(found) < 3:
        found.append(attempt())
    return min(found)


# --- keys


def test_each_key_of_the_caller_arrives_once(app: Pbx) -> None:
    digits = "159*0#DD"
    with Tap() as agents:
        call = place(app, agents.port, caller="keys", DIGITS=digits)
        with agents.accept(8000) as agent:
            call.wait_until_done()
            agent.wait_until(lambda: len(agent.keys) >= len(digits))
            assert agent.keys == digits
            call.hang_up()
        assert (told(call, "TalkPathKey")["Key"], told(call, "TalkPathKey")["From"]) == ("1", "caller")


def test_each_key_of_the_agent_arrives_once(app: Pbx) -> None:
    digits = "159*0#DD"
    with Tap() as agents:
        call = place(app, agents.port)
        with agents.accept(8000) as agent:
            agent.press(digits)
            keys = app.manager.wait_for_count(len(digits), "DTMFEnd", Uniqueid=call.name, Direction="Received")
        call.wait_until_gone()
    assert "".join(key["Digit"] for key in keys) == digits


def test_a_key_ends_it(app: Pbx) -> None:
    with Tap() as agents:
        call = place(app, agents.port, "k(0#)")
        with agents.accept(8000) as agent:
            agent.wait_until(lambda: len(agent.heard) >= 1)
            call.press("5#")
            agent.wait_until_hung_up()
            assert agent.keys == "5"
        found = left(call)
    assert (found["Status"], found["Key"]) == ("KEY", "#")


# --- who is not there, and who goes


def test_without_an_agent_the_dialplan_goes_on(app: Pbx) -> None:
    call = place(app, free_tcp_port())
    assert left(call)["Status"] == "REFUSED"
    call.wait_until_gone()


def test_the_next_agent_is_tried(app: Pbx) -> None:
    with RawAgent() as agent:
        call = app.place(
            "run", "stay", context="app", OPTIONS="", AGENTS=f"127.0.0.1:{free_tcp_port()}&127.0.0.1:{agent.port}"
        )
        agent.accept()
        agent.hang_up()
        found = left(call)
    assert (found["Status"], found["Agent"]) == ("AGENT", f"127.0.0.1:{agent.port}")


def test_an_agent_that_does_not_answer_is_given_up(app: Pbx) -> None:
    with full_server() as port:
        call = place(app, port, "t(200)")
        assert left(call)["Status"] == "TIMEOUT"


def test_a_caller_may_hang_up_while_the_agent_is_called(app: Pbx) -> None:
    with full_server() as port:
        call = place(app, port, "t(60000)")
        app.manager.wait_for("Newexten", Uniqueid=call.agent_channel, Application="TalkPath")
        call.hang_up()
        assert over(call)["Status"] == "HANGUP"
        call.wait_until_gone()


def test_a_host_that_is_none_is_unreachable(app: Pbx) -> None:
    call = app.place("run", "stay", context="app", AGENTS="no-such-host.invalid:8090", OPTIONS="")
    assert left(call)["Status"] == "UNREACHABLE"


def test_an_agent_that_dies_ends_the_application(app: Pbx) -> None:
    with RawAgent() as agent:
        call = place(app, agent.port)
        agent.accept()
        agent.wait_until_heard(1000)
        agent.reset()
        assert left(call)["Status"] == "LOST"
        call.wait_until_gone()


def test_an_agent_that_closes_has_hung_up(app: Pbx) -> None:
    with RawAgent() as agent:
        call = place(app, agent.port)
        agent.accept()
        agent.close()
        assert left(call)["Status"] == "AGENT"


def test_an_agent_that_closes_within_a_message_is_lost(app: Pbx) -> None:
    with RawAgent() as agent:
        call = place(app, agent.port)
        agent.accept()
        agent.send(b"\x10\x01\x40half")
        agent.close()
        assert left(call)["Status"] == "LOST"


def test_what_is_no_audiosocket_ends_the_application(app: Pbx) -> None:
    with RawAgent() as agent:
        call = place(app, agent.port)
        agent.accept()
        agent.send(b"\x01\x00\x10" + bytes(16))
        assert left(call)["Status"] == "PROTOCOL"
        agent.wait_until_closed()


def test_an_agent_that_sends_nothing_is_left_when_asked_to(app: Pbx) -> None:
    with RawAgent() as agent:
        call = place(app, agent.port, "i(1)")
        agent.accept()
        assert left(call)["Status"] == "IDLE"
        agent.wait_until_closed()


@pytest.mark.parametrize(
    "options", ["c(opus)", "d(ear)", "d(phone:2)", "l(5)", "k(x)", "t(soon)", "u(1700000000.1)", "e(maybe)", "b"]
)
def test_options_that_are_wrong_are_refused(app: Pbx, options: str) -> None:
    call = place(app, free_tcp_port(), options)
    assert left(call)["Status"] == "ERROR"


def test_the_agent_gets_the_id_that_was_chosen(app: Pbx) -> None:
    identity = "0f8fad5b-d9cb-469f-a165-70867728950e"
    with Tap() as agents:
        call = place(app, agents.port, f"u({identity})")
        with agents.accept(8000) as agent:
            agent.wait_until(lambda: agent.identity != "")
            assert agent.identity == identity
        assert left(call)["Id"] == identity


@contextmanager
def full_server() -> Iterator[int]:
    """Gives a port where a connection is neither taken nor refused: its queue is full."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])


def test_events_reach_ari(app: Pbx) -> None:
    with Ari(app.ports.http) as ari, Tap() as agents:
        call = place(app, agents.port)
        with agents.accept(8000) as agent:
            ari.command("POST", f"/applications/{APP}/subscription", eventSource=f"channel:{call.agent_channel}")
            agent.press("8")
            event = ari.wait_for("ChannelUserevent", call.agent_channel, eventname="TalkPathKey")
        assert (event["userevent"]["Key"], event["userevent"]["From"]) == ("8", "agent")


# --- the module


def test_the_module_unloads_and_reloads_and_leaves_nothing(app: Pbx, figure: Figure) -> None:
    descriptors: list[int] = []
    since = len(app.log())
    for _ in range(3):
        call_once(app)
        app.unload_module(f"{MODULE}.so")
        assert "0 modules loaded" in app.command(f"module show like {MODULE}")
        assert MODULE not in app.maps()
        descriptors.append(app.fewest_descriptors())
        app.load_module(f"{MODULE}.so")
        assert "Running" in app.command(f"module show like {MODULE}")
    call_once(app)
    figure(f"open descriptors after each unloading: {descriptors}")
    assert app.complaints(since) == []
    # The first call may have opened what Asterisk keeps.
    assert descriptors[2] <= descriptors[1]


def test_the_module_stays_while_a_call_runs(app: Pbx) -> None:
    with Tap() as agents:
        call = place(app, agents.port)
        with agents.accept(8000) as agent:
            agent.wait_until(lambda: len(agent.heard) >= 10)
            with pytest.raises(RuntimeError, match="unload"):
                app.unload_module(f"{MODULE}.so")
            heard = len(agent.heard)
            agent.wait_until(lambda: len(agent.heard) >= heard + 10)
        assert left(call)["Status"] == "AGENT"


def call_once(app: Pbx) -> None:
    """Has a call that is heard, and waits until it is gone."""
    with Tap() as agents:
        call = place(app, agents.port)
        with agents.accept(8000) as agent:
            agent.wait_until(lambda: len(agent.heard) >= 10)
        assert left(call)["Status"] == "AGENT"
        call.wait_until_gone()


def test_the_documentation_is_shown(app: Pbx) -> None:
    text = app.command("core show application TalkPath")
    assert "Connect the call to a voice agent" in text
    assert "TALKPATHSTATUS" in text
    for option in "bBcdeiklnpqtu":
        assert f"\n    {option}" in text
