"""talkpath carries the voice path of a phone call: from the caller's mouth to a Python agent's ear and back."""

from talkpath._talkpath import (
    Frame,
    Level,
    Resampler,
    Vad,
    VadVerdict,
    __version__,
    decode,
    encode,
    level,
    resample,
)
from talkpath.errors import (
    InternalError,
    InvalidArgument,
    LimitExceeded,
    ProtocolError,
    SessionEnded,
    TalkpathError,
    TalkpathOSError,
    Timeout,
)

__all__ = [
    "Frame",
    "InternalError",
    "InvalidArgument",
    "Level",
    "LimitExceeded",
    "ProtocolError",
    "Resampler",
    "SessionEnded",
    "TalkpathError",
    "TalkpathOSError",
    "Timeout",
    "Vad",
    "VadVerdict",
    "__version__",
    "decode",
    "encode",
    "level",
    "resample",
]
