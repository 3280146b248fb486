"""The format of audit logs once more, written from docs/audit.md alone: what it makes must verify."""

import hashlib
import hmac
import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any

KINDS = ("event", "gap", "opened", "closed", "rotated", "torn", "damaged", "lost")
HEADER = struct.Struct("<8sHB5x16sQQQ32s36xI")


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def link(key: bytes | None, previous: bytes, data: bytes) -> bytes:
    if key is None:
        return hashlib.sha256(previous + data).digest()
    return hmac.digest(key, previous + data, "sha256")


def header(*, number: int = 1, first: int = 1, previous: bytes = bytes(32), keyed: bool = False) -> bytes:
    fields = (b"TPAUDIT\0", 1, 2 if keyed else 1, b"0123456789abcdef", number, first, 1_700_000_000_000_000, previous)
    return HEADER.pack(*fields, crc32c(HEADER.pack(*fields, 0)[:-4])) if number else b""


def log(records: Iterable[tuple[str, Any]], key: bytes | None = None) -> bytes:
    """A log of one file, with records of these kinds that say this."""
    data = header(keyed=key is not None)
    chain = link(key, bytes(32), data)
    for number, (kind, says) in enumerate(records, 1):
        body = struct.pack("<QQB", number, 1_700_000_000_000_000, KINDS.index(kind) + 1) + json.dumps(says).encode()
        length = struct.pack("<I", len(body))
        record = b"\xffTPR" + length + struct.pack("<I", crc32c(length + body)) + body
        chain = link(key, chain, record)
        data += record + chain
    return data


def read(data: bytes) -> Iterator[tuple[int, str, Any]]:
    """The records of an intact file without a key: number, kind, what they say."""
    *_, previous, checksum = HEADER.unpack_from(data)
    assert checksum == crc32c(data[:124])
    chain, at = link(None, previous, data[:128]), 128
    while at < len(data):
        marker, length, checksum = struct.unpack_from("<4sII", data, at)
        body = data[at + 12 : at + 12 + length]
        assert (marker, checksum) == (b"\xffTPR", crc32c(data[at + 4 : at + 8] + body))
        chain = link(None, chain, data[at : at + 12 + length])
        at += 12 + length + 32
        assert data[at - 32 : at] == chain
        number, _time_us, kind = struct.unpack_from("<QQB", body)
        yield number, KINDS[kind - 1], json.loads(body[17:])
