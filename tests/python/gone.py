"""Waits for the end of processes that are nobody's children here."""

import os
import select


def wait_gone(pid: int) -> None:
    """Waits until the process has ended; half a minute at most."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 30)[0], f"{pid} is left"
    finally:
        os.close(descriptor)
