"""Controls calls over ARI, as a program with agents does: bridges a caller with an externalMedia channel.

Only what these tests need: commands over HTTP, and events over a WebSocket that this module reads by itself.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

APP = "talkpath"
WAIT_LIMIT_S = 30.0
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

Event = dict[str, Any]


class Ari:
    """A program that Asterisk's dialplan can hand calls to; a context manager."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/ari"
        self._events: list[Event] = []
        self._closed = False
        self._changed = threading.Condition()
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._stream = self._socket.makefile("rb")
        self._upgrade(port)
        self._reader = threading.Thread(target=self._read, name="ari", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._stream.close()
        self._socket.close()

    def command(self, method: str, path: str, **parameters: str) -> Any:
        """Runs one command and returns what it answers."""
        query = urllib.parse.urlencode(parameters)
        request = urllib.request.Request(f"{self._url}{path}?{query}", method=method)
        credentials = base64.b64encode(b"talkpath:talkpath").decode()
        request.add_header("Authorization", f"Basic {credentials}")
        try:
            with urllib.request.urlopen(request, timeout=WAIT_LIMIT_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if text else None

    def wait_for(self, kind: str, channel: str, **fields: str) -> Event:
        """Returns the first event of that kind and channel, past or to come, whose fields have the values given."""

        def found() -> Event | None:
            return next((e for e in self.events(kind, channel) if fields.items() <= e.items()), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._closed, WAIT_LIMIT_S)
            event = found()
        if event is None:
            raise TimeoutError(
                f"no {kind} of {channel}; the last events were {[e['type'] for e in self._events[-20:]]}"
            )
        return event

    def events(self, kind: str, channel: str) -> list[Event]:
        """Returns the events of that kind so far of that channel."""
        with self._changed:
            return [e for e in self._events if e["type"] == kind and e.get("channel", {}).get("id") == channel]

    @contextmanager
    def external_media(self, caller: str, host: str, codec: str) -> Iterator[str]:
        """Bridges the channel `caller` with a new externalMedia channel over RTP, until the block ends.

        Gives the new channel's id.
        """
        self.wait_for("StasisStart", caller)
        media, bridge = f"{caller}-media", f"{caller}-bridge"
        self.command(
            "POST",
            "/channels/externalMedia",
            app=APP,
            channelId=media,
            external_host=host,
            format=codec,
            direction="both",
        )
        self.wait_for("StasisStart", media)
        self.command("POST", "/bridges", type="mixing", bridgeId=bridge)
        self.command("POST", f"/bridges/{bridge}/addChannel", channel=f"{caller},{media}")
        try:
            yield media
        finally:
            self.command("DELETE", f"/bridges/{bridge}")
            # Whoever hung up first took it along.
            with suppress(RuntimeError):
                self.command("DELETE", f"/channels/{media}")

    def _upgrade(self, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        path = f"/ari/events?app={APP}&api_key=talkpath:talkpath"
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: ari"]
        self._socket.sendall("".join(line + "\r\n" for line in [*lines, ""]).encode())
        status = self._stream.readline()
        if b" 101 " not in status:
            raise ConnectionError(f"Asterisk answered {status!r}")
        while self._stream.readline().strip():
            pass

    def _read(self) -> None:
        message = b""
        with suppress(OSError, EOFError):
            while True:
                first, second = self._take(2)
                size = second & 0x7F
                if size >= 126:
                    size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
                payload = self._take(size)
                kind = first & 0x0F
                if kind == CLOSE:
                    break
                if kind == PING:
                    self._send(PONG, payload)
                if kind not in (0, TEXT):
                    continue
                message += payload
                if first & 0x80:
                    with self._changed:
                        self._events.append(json.loads(message))
                        self._changed.notify_all()
                    message = b""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _send(self, kind: int, payload: bytes) -> None:
        # A client masks what it sends; a mask of zeros leaves it as it is. A ping has fewer than 126 bytes.
        self._socket.sendall(struct.pack(">BBI", 0x80 | kind, 0x80 | len(payload), 0) + payload)
