"""Plays Asterisk's part on a WebSocket: a channel that says what it is, takes commands, and plays what it is sent.

The WebSocket itself is the `websockets` package's, so that two implementations which share no line meet here.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed


class Channel:
    """One channel in signed linear at 8 kHz; a context manager that hangs up."""

    def __init__(self, connection: ClientConnection | ServerConnection, name: str = "talkpath") -> None:
        self.commands: list[str] = []
        self.heard = bytearray()
        self._connection = connection
        self._name = name
        self._changed = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._connection.send(
            f"MEDIA_START connection_id:{self._name} channel:WebSocket/{self._name}/0x7f "
            "channel_id:pbx-1.2 format:slin optimal_frame_size:320 ptime:20"
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        if self._reader is not None:
            await self._reader

    @property
    def close_code(self) -> int | None:
        """With what code the connection was closed."""
        return self._connection.close_code

    async def say(self, pcm: bytes) -> None:
        """Sends audio, a frame every 20 ms."""
        for start in range(0, len(pcm), 320):
            await self._connection.send(pcm[start : start + 320])
            await asyncio.sleep(0.02)

    async def press(self, digits: str) -> None:
        """Says that these keys were pressed."""
        for digit in digits:
            await self._connection.send(f"DTMF_END digit:{digit} channel_id:pbx-1.2")

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds; it is looked at after every message."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def wait_closed(self) -> None:
        """Waits until the other side has ended the call."""
        assert self._reader is not None
        await asyncio.shield(self._reader)

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for message in self._connection:
                if isinstance(message, bytes):
                    self.heard += message
                else:
                    self.commands.append(message)
                    if message.startswith("MARK_MEDIA "):
                        # The close may be there already, and more of what came before it to read.
                        with suppress(ConnectionClosed):
                            await self._connection.send(f"MEDIA_MARK_PROCESSED {message.removeprefix('MARK_MEDIA ')}")
                async with self._changed:
                    self._changed.notify_all()
