"""What the tests of the NATS bridge share: Debian's nats-server, run as any user on a free port of loopback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import talkpath

# How Debian's packages are fetched and run is written there once.
sys.path.append(str(Path(__file__).parents[1] / "asterisk"))

import debian
from bridged import Agent
from nats_server import NatsServer

NATS = debian.Selection("nats-server", ("nats-server",))


@pytest.fixture(scope="session", autouse=True)
def _built_in() -> None:
    try:
        talkpath.NatsBridge(talkpath.EventBus(), send=None, receive=None)
    except talkpath.InvalidArgument as refused:
        if "this build" in str(refused):
            pytest.skip(str(refused))


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How nats-server is run; fetched at most once."""
    if (tool := debian.missing_tool()) is not None:
        pytest.skip(f"nats-server comes from Debian's packages, and this machine has no {tool}")
    return debian.install(debian.folder(NATS), NATS).command("nats-server")


@pytest.fixture
def make_server(command: list[str], tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Starts servers that are gone with the test."""
    servers: list[NatsServer] = []

    def make(*arguments: str) -> NatsServer:
        servers.append(NatsServer(command, tmp_path / f"nats-{len(servers)}", arguments))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(make_server: Callable[..., NatsServer]) -> NatsServer:
    """A server with JetStream."""
    return make_server()


@pytest.fixture
def start_agent() -> Iterator[Callable[..., Agent]]:
    """Starts processes with a bus and a bridge, that are gone with the test."""
    agents: list[Agent] = []

    def start(server: NatsServer, **options: object) -> Agent:
        agents.append(Agent(server.url, options))
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()
