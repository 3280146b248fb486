"""What a session tells its agent: small frozen values, made for `match`.

    match event:
        case talkpath.Dtmf(digit):
            ...
        case talkpath.Interrupted(receipt):
            ...
        case talkpath.Ended(reason="caller_hangup"):
            ...

Positions are milliseconds since the first sample heard in the call.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Certainty: TypeAlias = Literal["written", "acked", "estimated"]
Cause: TypeAlias = Literal["agent", "barge_in"]
EndReason: TypeAlias = Literal[
    "caller_hangup",
    "agent_hangup",
    "handler_failed",
    "idle_timeout",
    "protocol_error",
    "transport_error",
    "server_stopping",
]


@dataclass(frozen=True, slots=True)
class Segment:
    """What became of the audio written with one tag, in milliseconds."""

    tag: str
    received_ms: float
    played_ms: float
    discarded_ms: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the caller heard, tag by tag, and how that is known ("written": it went out on the wire)."""

    generation: int
    certainty: Certainty
    segments: tuple[Segment, ...]

    @property
    def received_ms(self) -> float:
        """Milliseconds written, over all tags."""
        return sum(segment.received_ms for segment in self.segments)

    @property
    def played_ms(self) -> float:
        """Milliseconds played, over all tags."""
        return sum(segment.played_ms for segment in self.segments)

    @property
    def discarded_ms(self) -> float:
        """Milliseconds dropped, over all tags."""
        return sum(segment.discarded_ms for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Started:
    """The call runs and its wire format is known; always the first event."""

    encoding: str
    rate: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key: 0 to 9, *, #, A to D."""

    digit: str
    position_ms: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at `position_ms`; it was certain at `decided_ms`."""

    position_ms: float
    decided_ms: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller stopped speaking at `position_ms`; it was certain at `decided_ms`."""

    position_ms: float
    decided_ms: float


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sample of what was written with `tag` went out on the wire."""

    tag: str


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """Playout has reached the mark."""

    name: str


@dataclass(frozen=True, slots=True)
class Drained:
    """All that was written has been played."""


@dataclass(frozen=True, slots=True)
class Underrun:
    """Playout ran dry in the middle of a tag: the caller heard a gap."""

    tag: str
    gap_ms: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What was queued has been dropped; the receipt says what of it was heard."""

    receipt: Receipt
    cause: Cause


@dataclass(frozen=True, slots=True)
class EventsLost:
    """So many events were dropped, because they were read too late."""

    count: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; always the last event, and never lost."""

    reason: EndReason


Event: TypeAlias = (
    Started
    | Dtmf
    | SpeechStarted
    | SpeechStopped
    | PlaybackStarted
    | MarkPlayed
    | Drained
    | Underrun
    | Interrupted
    | EventsLost
    | Ended
)


def receipt_from_core(parts: tuple[int, Any, list[tuple[str, float, float, float]]]) -> Receipt:
    """Makes a receipt of what the core answers: generation, certainty, segments."""
    generation, certainty, segments = parts
    return Receipt(generation, certainty, tuple(Segment(*segment) for segment in segments))


def event_from_core(parts: tuple[Any, ...]) -> Event:
    """Makes an event of what the core answers: its name, then its fields."""
    name, *fields = parts
    if name == "interrupted":
        receipt, cause = fields
        return Interrupted(receipt_from_core(receipt), cause)
    event: Event = _CLASSES[name](*fields)
    return event


_CLASSES: Final[dict[str, Any]] = {
    "started": Started,
    "dtmf": Dtmf,
    "speech_started": SpeechStarted,
    "speech_stopped": SpeechStopped,
    "playback_started": PlaybackStarted,
    "mark_played": MarkPlayed,
    "drained": Drained,
    "underrun": Underrun,
    "events_lost": EventsLost,
    "ended": Ended,
}
