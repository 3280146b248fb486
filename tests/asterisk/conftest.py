"""What the tests with a real Asterisk share: the Asterisk, where its calls are tapped, and real speech."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import debian
import modules
from ari import Ari
from caller import Tap
from pbx import Pbx, Ports
from speech import Samples, read

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Makes room for the figures of this run."""
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what was measured, since a test that passes says no more than that."""
    if config.stash[FIGURES]:
        terminalreporter.section("measured on real calls")
        for line in config.stash[FIGURES]:
            terminalreporter.write_line(line)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a figure for the end of the run."""

    def note(text: str) -> None:
        request.config.stash[FIGURES].append(f"{request.node.name}: {text}")

    return note


@pytest.fixture(scope="session")
def tree() -> debian.Tree:
    """Debian's Asterisk 22, fetched at most once."""
    if (tool := debian.missing_tool()) is not None:
        pytest.skip(f"a real Asterisk comes from Debian's packages, and this machine has no {tool}")
    return debian.install(debian.folder())


@pytest.fixture(scope="session")
def library() -> modules.Library:
    """The C library, installed under a prefix."""
    if (tool := modules.missing_tool()) is not None:
        pytest.skip(f"a module is built with {', '.join(modules.TOOLS)}, and this machine has no {tool}")
    return modules.Library.install()


@pytest.fixture(scope="session")
def build_module(
    tree: debian.Tree, library: modules.Library, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Builds a module of examples/asterisk against the C library, once, and returns its .so: `Pbx(modules=[...])`."""
    folder = tmp_path_factory.mktemp("modules")

    @functools.cache
    def build(name: str) -> Path:
        return library.build_module(name, tree, folder)

    return build


@pytest.fixture(scope="session")
def pbx(tree: debian.Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    """A running Asterisk."""
    with Pbx(tree, tmp_path_factory.mktemp("asterisk") / "run", Ports.choose()) as running:
        yield running


@pytest.fixture
def ari(pbx: Pbx) -> Iterator[Ari]:
    """The program that controls the calls which the dialplan hands to `stasis`."""
    with Ari(pbx.ports.http) as program:
        yield program


@pytest.fixture
def tap() -> Iterator[Tap]:
    """Where the callers' ends of calls are heard and spoken by the test itself."""
    with Tap() as here:
        yield here


@pytest.fixture(scope="session")
def prompt(pbx: Pbx, tree: debian.Tree) -> Callable[[str, int], Samples]:
    """Recorded speech by name and rate: studio recordings of one speaker that come with Asterisk."""

    def load(name: str, rate: int = 8000) -> Samples:
        if rate == 8000:
            return read(tree.sounds / f"{name}.wav")
        wide = pbx.folder / f"{name.replace('/', '-')}.sln16"
        if not wide.exists():
            pbx.command(f"file convert {tree.sounds / name}.g722 {wide}")
        return read(Path(wide))

    return load
