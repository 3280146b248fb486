"""Fetches Debian's own Asterisk 22 and sipp into a folder of the user's, as any user.

The tests want a real Asterisk and must not ask for root, a container or a daemon on the machine. So the packages and
everything that they depend on are downloaded by apt with a private state, unpacked and run in place by their own
dynamic loader. Nothing is installed: no maintainer script runs, and removing the folder removes everything.

This module does not configure or start anything: see `pbx.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUITE = "sid"
"""The Debian suite that carries Asterisk 22; no stable release does."""


@dataclass(frozen=True)
class Selection:
    """Packages that are fetched together."""

    name: str
    packages: tuple[str, ...]
    headers: tuple[str, ...] = ()
    """Unpacked without what they depend on, since that is Debian's own build tools."""
    variable: str = ""
    """Names the folder, if it is set in the environment."""


ASTERISK = Selection(
    "asterisk-22",
    ("asterisk", "asterisk-core-sounds-en-wav", "asterisk-core-sounds-en-g722", "sip-tester"),
    headers=("asterisk-dev",),
    variable="TALKPATH_ASTERISK",
)

TOOLS = ("apt-get", "apt-cache", "dpkg", "dpkg-deb", "tar")
"""What a machine must have; where one is missing the tests are skipped, and nowhere else."""

UNUSED = ("doc", "man", "info", "locale", "perl", "zoneinfo", "lintian", "bug")
"""Folders of /usr/share that no test reads; leaving them packed saves a third of the space."""


def missing_tool() -> str | None:
    """Returns the first tool that this machine does not have, or None when Asterisk can be fetched."""
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


@dataclass(frozen=True)
class Tree:
    """An unpacked Debian tree whose programs run in place."""

    root: Path

    @property
    def modules(self) -> Path:
        """The folder of Asterisk's loadable modules."""
        return self._one("usr/lib/*/asterisk/modules")

    @property
    def include(self) -> Path:
        """The folder of the headers that modules are compiled with."""
        return self.root / "usr/include"

    @property
    def sounds(self) -> Path:
        """The folder of the English prompts, as .wav (8 kHz) and .g722 (16 kHz)."""
        return self._one("usr/share/asterisk/sounds/en_US_f_*")

    def command(self, program: str) -> list[str]:
        """Returns the start of a command line that runs `program` with the tree's loader and libraries."""
        loader = self._one("usr/lib/*/ld-linux-*.so.*")
        libraries = loader.parent
        paths = [libraries, libraries / "pulseaudio", self.root / "usr/lib"]
        found = next(path for folder in ("usr/sbin", "usr/bin") if (path := self.root / folder / program).exists())
        return [str(loader), "--library-path", ":".join(map(str, paths)), str(found)]

    def _one(self, pattern: str) -> Path:
        return next(iter(sorted(self.root.glob(pattern))))


def folder(selection: Selection = ASTERISK) -> Path:
    """Returns where the tree is kept between runs: as the environment says, or a folder of the user's cache.

    The name of the latter says what is in it, so that a list with other packages fetches a tree of its own.
    """
    if selection.variable and (named := os.environ.get(selection.variable)):
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    contents = hashlib.sha256(" ".join((SUITE, *selection.packages, *selection.headers)).encode()).hexdigest()
    return Path(cache) / "talkpath" / f"{selection.name}-{contents[:8]}"


def install(into: Path, selection: Selection = ASTERISK) -> Tree:
    """Returns the tree in `into`, fetching it first where it is not there yet (Asterisk: 110 MB, half a minute).

    Two test runs that start together wait for each other; a run that was cut short leaves nothing behind that a
    later one would take for whole.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with _locked(into.with_name(into.name + ".lock")):
        if not into.exists():
            with tempfile.TemporaryDirectory(dir=into.parent, prefix="fetch-") as scratch:
                fresh = Path(scratch) / "tree"
                fresh.mkdir()
                _unpack(_download(Path(scratch) / "apt", selection), fresh)
                _make_links_relative(fresh)
                fresh.rename(into)
    return Tree(into)


def _download(state: Path, selection: Selection) -> list[Path]:
    """Has apt download headers, and packages with what they depend on, as if nothing at all were installed."""
    archives = state / "archives"
    for part in (archives / "partial", state / "lists" / "partial"):
        part.mkdir(parents=True)
    (state / "status").touch()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (state / "sources.list").write_text(f"deb [signed-by={keyring}] {_mirror()} {SUITE} main\n")
    config = state / "apt.conf"
    config.write_text(
        f"""
        Dir::State "{state}";
        Dir::State::status "{state}/status";
        Dir::Cache "{state}";
        Dir::Etc::sourcelist "{state}/sources.list";
        Dir::Etc::sourceparts "/dev/null";
        Debug::NoLocking "true";
        APT::Sandbox::User "";
        APT::Install-Recommends "false";
        Acquire::Languages "none";
        Acquire::Retries "3";
        Acquire::Check-Date "false";
        """
    )
    environment = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
    steps = [["update"], ["--yes", "--download-only", "install", *selection.packages]]
    if selection.headers:
        steps.append(["download", *selection.headers])
    for arguments in steps:
        done = subprocess.run(
            ["apt-get", "-q", *arguments], cwd=archives, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"apt-get {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return sorted(archives.glob("*.deb"))


def _mirror() -> str:
    """Returns the Debian mirror that this machine already uses, or TALKPATH_DEBIAN_MIRROR."""
    if named := os.environ.get("TALKPATH_DEBIAN_MIRROR"):
        return named
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    uris = [uri for uri in listed if uri.rstrip("/").endswith("/debian")]
    if not uris:
        raise RuntimeError(f"no Debian mirror among apt's sources ({listed}): set TALKPATH_DEBIAN_MIRROR")
    return uris[0]


def _unpack(packages: list[Path], tree: Path) -> None:
    # Debian's files live under /usr, but some packages still say /lib: give both one home before anything is written.
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    excludes = [f"--exclude=./usr/share/{name}" for name in UNUSED]

    def unpack(package: Path) -> None:
        options = ["--keep-directory-symlink", "--no-same-owner", "--no-same-permissions", *excludes]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as contents:
            subprocess.run(["tar", "-x", "-C", tree, *options], stdin=contents.stdout, check=True)
        if contents.returncode != 0:
            raise RuntimeError(f"dpkg-deb could not read {package.name}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(unpack, packages))


def _make_links_relative(tree: Path) -> None:
    """Turns links to absolute paths, which would leave the tree, into links inside it."""
    for directory, folders, files in os.walk(tree / "usr"):
        for name in (*folders, *files):
            link = Path(directory, name)
            if link.is_symlink() and (target := os.readlink(link)).startswith("/"):
                link.unlink()
                link.symlink_to(os.path.relpath(tree / target.lstrip("/"), directory))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
