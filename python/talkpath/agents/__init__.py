"""Agents that ship with talkpath: small enough to read, and to start from."""

from talkpath.agents.echo import echo
from talkpath.agents.parrot import parrot

__all__ = ["echo", "parrot"]
