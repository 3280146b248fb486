"""Every exception is a TalkpathError and the builtin it resembles."""

import pytest

import talkpath


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (talkpath.InvalidArgument, ValueError),
        (talkpath.ProtocolError, ConnectionError),
        (talkpath.SessionEnded, ConnectionError),
        (talkpath.LimitExceeded, BufferError),
        (talkpath.TalkpathOSError, OSError),
        (talkpath.Timeout, TimeoutError),
        (talkpath.AccessDenied, PermissionError),
        (talkpath.NotFound, KeyError),
        (talkpath.InternalError, RuntimeError),
    ],
)
def test_errors_have_two_bases(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, talkpath.TalkpathError)
    assert issubclass(error, builtin)


def test_the_core_raises_them() -> None:
    with pytest.raises(talkpath.TalkpathError):
        talkpath.Frame(b"", 1)
