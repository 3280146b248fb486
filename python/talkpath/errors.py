"""The exceptions that talkpath raises: each is a `TalkpathError`, and the builtin that it most resembles.

They are written in Python so that each can have two bases; the core maps every kind of its own errors to one of them.
Loss, lateness and silence are values and counters, never exceptions.
"""


class TalkpathError(Exception):
    """The base of every exception that talkpath raises on purpose."""


class InvalidArgument(TalkpathError, ValueError):
    """An argument is not one that talkpath takes; the message says what was got and what was wanted."""


class ProtocolError(TalkpathError, ConnectionError):
    """A peer broke the wire protocol."""


class SessionEnded(TalkpathError, ConnectionError):
    """The call has ended: nothing more can be written."""


class LimitExceeded(TalkpathError, BufferError):
    """A bounded queue or count is full."""


class TalkpathOSError(TalkpathError, OSError):
    """The operating system refused; `errno` holds its number where there is one."""


class Timeout(TalkpathError, TimeoutError):
    """Something took longer than it may."""


class AccessDenied(TalkpathError, PermissionError):
    """A secret, its store or its key is refused: who may read it, what it was made with, or which process asks."""


class NotFound(TalkpathError, KeyError):
    """There is nothing of that name."""

    # KeyError's own shows its argument as a literal.
    __str__ = Exception.__str__


class InternalError(TalkpathError, RuntimeError):
    """A defect in talkpath itself; please report it."""


class AudioopError(TalkpathError, ValueError):
    """What `talkpath.audioop` refuses, in the words of CPython's `audioop.error`."""


__all__ = [
    "AccessDenied",
    "AudioopError",
    "InternalError",
    "InvalidArgument",
    "LimitExceeded",
    "NotFound",
    "ProtocolError",
    "SessionEnded",
    "TalkpathError",
    "TalkpathOSError",
    "Timeout",
]
