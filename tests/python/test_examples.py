"""The examples in Python are run as they stand."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--die"], -signal.SIGKILL)])
def test_a_long_command_leaves_nothing(arguments, code):
    command = [sys.executable, EXAMPLES / "long_command.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert "step 3 of 3\nGo on? [y/N] " in done.stdout
    assert ("\ndone\n" in done.stdout) is (code == 0)
    left = [int(pid) for pid in re.findall(r"(?:process|helper) (\d+)", done.stdout)]
    assert len(left) == 2
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in left):
        assert time.monotonic() < deadline, f"{left} are left"
        time.sleep(0.005)
