"""The inner half of `app_talkpath`, without Asterisk, under AddressSanitizer and under valgrind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from debian import Tree
from modules import EXAMPLES, Library
from speech import phrase, read

PARTS = [EXAMPLES / "app_talkpath" / f"{part}.c" for part in ("call", "link", "pace")]
VALGRIND = [
    "valgrind",
    "--quiet",
    "--error-exitcode=9",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,possible",
]


@pytest.mark.parametrize(
    ("flags", "runner"),
    [
        pytest.param(["-fsanitize=address,undefined", "-fno-omit-frame-pointer"], [], id="AddressSanitizer"),
        pytest.param([], VALGRIND, id="valgrind"),
    ],
)
def test_calls_on_a_clock_of_their_own(
    library: Library, tree: Tree, tmp_path: Path, flags: list[str], runner: list[str]
) -> None:
    if runner and shutil.which(runner[0]) is None:
        pytest.skip("this machine has no valgrind")
    sources = [Path(__file__).with_name("app_talkpath_alone.c"), *PARTS]
    program = library.build_program(sources, tmp_path / "alone", *flags)
    speech = tmp_path / "speech.raw"
    speech.write_bytes(phrase(read(tree.sounds / "vm-intro.wav"), 8000).tobytes())
    done = subprocess.run([*runner, str(program), str(speech)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
