"""The examples of docs/secrets.md run as they stand there, against a store that its commands have made."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/secrets.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_commands_and_programs_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("IMPORTED=value\n")
    commands = [
        line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ talkpath ")
    ]
    kept = [command for number, command in enumerate(commands) if " init " not in command or number == 0]
    assert len(kept) == 4
    for command in kept:
        arguments = [sys.executable, "-m", "talkpath", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, input=b"sk-live-1", capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (command, done.stderr)

    programs = blocks("python")
    assert len(programs) == 2
    for program in programs:
        exec(compile(program, "docs/secrets.md", "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out == "SecretRef(PROVIDER_KEY)\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".env",
        "other.age",
        "other.age.lock",
        "other.key",
        "secrets.age",
        "secrets.age.lock",
        "talkpath.key",
    ]
