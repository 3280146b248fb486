"""`codec_talkpath` without Asterisk, under AddressSanitizer and under valgrind: whatever a network may bring."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from debian import Tree
from modules import Library
from test_app_talkpath_alone import VALGRIND

MODULE = "codec_talkpath"


@pytest.mark.parametrize(
    ("flags", "runner"),
    [
        pytest.param(["-fsanitize=address,undefined", "-fno-omit-frame-pointer"], [], id="AddressSanitizer"),
        pytest.param([], VALGRIND, id="valgrind"),
    ],
)
def test_packets_that_get_lost_come_late_or_are_none(
    library: Library, tree: Tree, tmp_path: Path, flags: list[str], runner: list[str]
) -> None:
    if runner and shutil.which(runner[0]) is None:
        pytest.skip("this machine has no valgrind")
    module = [f'-DAST_MODULE="{MODULE}"', f"-DAST_MODULE_SELF_SYM=__internal_{MODULE}_self"]
    source = Path(__file__).with_name("codec_talkpath_alone.c")
    program = library.build_program([source], tmp_path / "alone", "-isystem", str(tree.include), *module, *flags)
    done = subprocess.run([*runner, str(program)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
