"""C programs compile, link and run against nothing but what pip has installed."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import talkpath
from audio import noise

C_TESTS = Path(__file__).parents[1] / "c"


def _is_in_place() -> bool:
    """Whether Python's module was built in the source tree by maturin alone, as while one works on it."""
    origin = json.loads(importlib.metadata.distribution("talkpath").read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


needs_c_library = pytest.mark.skipif(
    _is_in_place() and not Path(talkpath.__file__).with_name("lib").exists(),
    reason="built by maturin alone, without the C library",
)


def _config(*arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "talkpath", "config", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | (environment or {})
    )


def _compile(source: Path, program: Path, flags: str) -> None:
    compiler = ["c++", "-std=c++17"] if source.suffix == ".cc" else ["cc", "-std=c11", "-D_POSIX_C_SOURCE=200809L"]
    strict = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
    command = [*compiler, *strict, str(source), "-o", str(program), *shlex.split(flags), "-lm", "-pthread"]
    subprocess.run(command, check=True, timeout=120)


def _run(program: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    subprocess.run([program], check=True, timeout=120, env=environment)


@needs_c_library
@pytest.mark.parametrize("name", ["status.c", "g711.c", "session.c", "threads.c", "server.c", "cxx.cc"])
def test_a_program_compiles_and_runs_by_what_config_prints(tmp_path: Path, name: str) -> None:
    printed = _config("--cflags", "--libs")
    assert printed.returncode == 0, printed.stderr
    _compile(C_TESTS / name, tmp_path / "program", printed.stdout)
    _run(tmp_path / "program")


@needs_c_library
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_pkg_config_finds_the_package(tmp_path: Path) -> None:
    environment = os.environ | {"PKG_CONFIG_PATH": _config("--pkgconfigdir").stdout.strip()}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "talkpath"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    _compile(C_TESTS / "status.c", tmp_path / "program", flags.stdout)
    _run(tmp_path / "program")
    command = ["pkg-config", "--modversion", "talkpath"]
    version = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert version.stdout.strip() == talkpath.__version__


@needs_c_library
def test_the_program_of_the_readme(tmp_path: Path) -> None:
    found = re.search(r"```c\n(.*?)```", (C_TESTS.parents[1] / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    source = tmp_path / "readme.c"
    source.write_text(found[1], encoding="utf-8")
    _compile(source, tmp_path / "program", _config("--cflags", "--libs").stdout)
    said = talkpath.encode(noise(1.0, 8000), "ulaw")
    heard = subprocess.run([tmp_path / "program"], input=said, capture_output=True, check=True, timeout=60).stdout
    assert heard == talkpath.Resampler(8000, 16000).process(talkpath.decode(said, "ulaw"))


@needs_c_library
def test_the_folders_hold_header_and_library() -> None:
    assert (
        Path(talkpath.get_include(), "talkpath.h").read_bytes()
        == (C_TESTS.parents[1] / "include" / "talkpath.h").read_bytes()
    )
    assert [file.name for file in Path(talkpath.get_library_dir()).glob("*.so*")] == ["libtalkpath.so.0"]


def test_a_package_without_the_c_library_says_so(tmp_path: Path) -> None:
    copy = tmp_path / "talkpath"
    shutil.copytree(
        Path(talkpath.__file__).parent, copy, ignore=shutil.ignore_patterns("lib", "include", "__pycache__", "data")
    )
    failed = _config("--libs", environment={"PYTHONPATH": str(tmp_path)})
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert f"no libtalkpath.so.* in {copy / 'lib'}" in failed.stderr
    assert "wanted one installed by pip" in failed.stderr


def test_config_wants_to_be_told_what() -> None:
    asked_nothing = _config()
    assert (asked_nothing.returncode, asked_nothing.stdout) == (2, "")
    assert "wanted --cflags, --libs or --pkgconfigdir" in asked_nothing.stderr
