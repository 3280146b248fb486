"""Builds this project's own Asterisk modules as a user would: the C library under a prefix, then `build.sh` against it.

This module does not load them: see `pbx.py`.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from debian import Tree

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "asterisk"
TOOLS = ("cargo", "cc", "pkg-config", "strip")
"""What a machine must have to build them; where one is missing their tests are skipped."""


def missing_tool() -> str | None:
    """Returns the first tool that this machine does not have, or None when modules can be built."""
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


@dataclass(frozen=True)
class Library:
    """The C library, installed under a prefix."""

    prefix: Path

    @classmethod
    def install(cls, prefix: Path = REPOSITORY / "target" / "asterisk-tests" / "prefix") -> Library:
        """Builds it where it is not up to date (two minutes at first), and installs it.

        Two test runs that start together wait for each other.
        """
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with prefix.with_name("prefix.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _run([str(REPOSITORY / "include" / "install.sh"), str(prefix)])
        return cls(prefix)

    def build_module(self, name: str, tree: Tree, into: Path, flags: str = "-Werror") -> Path:
        """Builds one module by the command that examples/asterisk/README.md gives, and returns the .so."""
        _run(
            [str(EXAMPLES / "build.sh"), name],
            OUT=str(into),
            ASTERISK_INCLUDE=str(tree.include),
            PKG_CONFIG_PATH=str(self.prefix / "lib" / "pkgconfig"),
            CFLAGS=flags,
        )
        return into / f"{name}.so"

    def build_program(self, sources: list[Path], program: Path, *flags: str) -> Path:
        """Builds a program that needs no Asterisk of parts of the modules."""
        found = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "talkpath"],
            env=os.environ | {"PKG_CONFIG_PATH": str(self.prefix / "lib" / "pkgconfig")},
            capture_output=True,
            text=True,
            check=True,
        )
        library = [*shlex.split(found.stdout), "-lm", f"-Wl,-rpath,{self.prefix / 'lib'}"]
        strict = ["-std=gnu11", "-g", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{EXAMPLES}"]
        _run(["cc", *strict, *flags, *map(str, sources), "-o", str(program), *library])
        return program


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
