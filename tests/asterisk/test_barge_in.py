"""A caller who talks over the parrot hears it fall silent, at once.

Times are those of the wire on the caller's side: when the frame that carries a sample was sent, and when the agent's
last frame that is not silence came in. What is said are Asterisk's own recorded prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from caller import FRAME_S, Caller, Tap
from debian import Tree
from pbx import Pbx
from serving import Serving
from speech import Samples, first_voiced, phrase, read

Figure = Callable[[str], None]

RATE = 8000
PROMPTS = 24
AT_ONCE = 8


@dataclass
class Overlap:
    """One caller who makes the parrot speak and then talks over it."""

    caller: Caller
    interruption: Samples
    begin: int = 0

    def prompt_it(self, question: Samples) -> None:
        """Says something for the parrot to repeat."""
        self.caller.say(np.zeros(RATE // 2, np.int16))
        self.caller.say(question)

    def talk_over_it(self) -> None:
        """Waits until the parrot has spoken for half a second, and interrupts."""
        self.caller.wait_until(lambda: sum(frame.loud for frame in self.caller.heard) >= 25)
        self.begin = self.caller.say(self.interruption)

    def finish(self) -> None:
        """Says all of the interruption, and nothing for a moment."""
        self.caller.wait_until_said(and_ms=100)

    @property
    def last_agent_frame(self) -> float:
        """When the last of what was interrupted came in."""
        end = self.caller.sent[self.begin].at + self.interruption.size / RATE
        return max(frame.at for frame in self.caller.heard if frame.loud and frame.at < end)

    def after_voice_ms(self) -> float:
        """Returns how long the parrot went on after the frame with the caller's first voiced sample."""
        frame = self.begin + first_voiced(self.interruption, RATE) // round(RATE * FRAME_S)
        return (self.last_agent_frame - self.caller.sent[frame].at) * 1000

    def after_decision_ms(self, onsets: list[tuple[float, float]]) -> float:
        """Returns how long it went on after the frame with which the detector decided that this was speech.

        `onsets` are the call's positions and decisions, in ms since the first sample that the caller sent.
        """
        begin_ms = self.begin * FRAME_S * 1000
        decided = next(decided for position, decided in onsets if decided > begin_ms)
        return (self.last_agent_frame - self.caller.sent[round(decided / 1000 / FRAME_S) - 1].at) * 1000


def phrases(tree: Tree) -> list[Samples]:
    """Returns PROMPTS phrases of 0.8 to 3 s, spread evenly over all of the recordings."""
    found = [phrase(read(path), RATE) for path in sorted(tree.sounds.glob("*.wav"))]
    fitting = [samples for samples in found if 0.8 * RATE <= samples.size <= 3 * RATE]
    return fitting[:: len(fitting) // PROMPTS][:PROMPTS]


def long_question(tree: Tree) -> Samples:
    """Returns five seconds of speech without a pause that would end the caller's turn."""
    names = ("demo-congrats", "demo-instruct", "vm-intro", "tt-weasels", "vm-forwardoptions", "demo-thanks")
    parts = [phrase(read(tree.sounds / f"{name}.wav"), RATE, pause_s=0.15) for name in names]
    return np.concatenate(parts)[: 5 * RATE]


def test_the_parrot_stops_within_frames_of_the_decision(tree: Tree, figure: Figure) -> None:
    interruptions = phrases(tree)
    assert len(interruptions) == PROMPTS
    question = long_question(tree)
    after_decision: list[float] = []
    after_voice: list[float] = []
    with Serving("agents:watched_parrot") as server:
        for start in range(0, PROMPTS, AT_ONCE):
            batch = [Overlap(Caller.connect(server.port), said) for said in interruptions[start : start + AT_ONCE]]
            for overlap in batch:
                overlap.prompt_it(question)
            for overlap in batch:
                overlap.talk_over_it()
            for overlap in batch:
                overlap.finish()
            for overlap in batch:
                call = overlap.caller.identity
                server.wait_for("Interrupted", call=call, cause="barge_in")
                onsets = [
                    (line["position_ms"], line["decided_ms"])
                    for line in server.events("SpeechStarted")
                    if line["call"] == call
                ]
                after_decision.append(overlap.after_decision_ms(onsets))
                after_voice.append(overlap.after_voice_ms())
                overlap.caller.hang_up()
    decision_p50, decision_p90 = np.percentile(after_decision, [50, 90])
    voice_p50, voice_p90 = np.percentile(after_voice, [50, 90])
    figure(
        f"{PROMPTS} interruptions: last agent frame after the decision {decision_p50:.0f} / {decision_p90:.0f} /"
        f" {max(after_decision):.0f} ms (p50 / p90 / max), after the first voiced sample {voice_p50:.0f} /"
        f" {voice_p90:.0f} / {max(after_voice):.0f} ms"
    )
    # At the most it is longer: a word that begins 30 dB below the agent's own voice is speech to the detector before it
    # is louder than an echo could be, and the echo guard waits for that.
    assert decision_p90 <= 60
    assert voice_p90 <= 160
    assert max(after_voice) <= 240


def test_a_caller_on_asterisk_hears_the_parrot_stop(pbx: Pbx, tree: Tree, tap: Tap, figure: Figure) -> None:
    with Serving("agents:watched_parrot") as server:
        pbx.send_calls_to(server.port)
        call, caller = pbx.tap(tap, "app")
        overlap = Overlap(caller, phrases(tree)[0])
        overlap.prompt_it(long_question(tree))
        overlap.talk_over_it()
        overlap.finish()
        caller.hang_up()
        call.wait_until_gone()
        server.wait_for("Interrupted", cause="barge_in")
    after = overlap.after_voice_ms()
    figure(f"through Asterisk: last agent frame {after:.0f} ms after the first voiced sample")
    # Asterisk reads and writes each channel once in 20 ms, on both of its sides and in both directions.
    assert after <= 160 + 80
