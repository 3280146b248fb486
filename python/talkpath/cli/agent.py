"""Finds the agent that a command line names: a built-in one, or MODULE:HANDLER."""

import importlib
import inspect
import sys

from talkpath.agents import echo, parrot
from talkpath.cli.console import refuse
from talkpath.server import Handler

_BUILT_IN: dict[str, Handler] = {"echo": echo, "parrot": parrot}


def find_agent(name: str) -> Handler:
    """The handler of that name; ends the program with exit code 2 if there is none."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        refuse(f"agent {name!r}, wanted echo, parrot or MODULE:HANDLER")
    # As with `python -m`: what lies in the working directory can be imported.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        refuse(f"agent {name!r}: {error}")
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            refuse(f"agent {name!r}: module {module_name} has no {attribute}")
    if not inspect.iscoroutinefunction(found) and not inspect.iscoroutinefunction(type(found).__call__):
        refuse(f"agent {name!r} is no coroutine function, wanted async def {attribute}(session)")
    handler: Handler = found  # type: ignore[assignment]
    return handler
