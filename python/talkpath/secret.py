"""Secrets: kept in an encrypted store, sealed in memory, in plain only where one is used.

A value is never a `str` or `bytes`, which cannot be wiped: it comes in by `SecretRef.from_prompt()`, by descriptor or
in a `bytearray` that is overwritten, and is lent as a memoryview for the length of a `with` block. Keys come from where
the caller says and nowhere else; no variable of the environment is a fall-back. docs/secrets.md says what it protects.
"""

from talkpath._talkpath import (
    Exposed,
    SecretInfo,
    SecretRef,
    SecretStore,
    harden,
    is_hardened,
    read_env_file,
    secret_protection,
)

__all__ = [
    "Exposed",
    "SecretInfo",
    "SecretRef",
    "SecretStore",
    "harden",
    "is_hardened",
    "read_env_file",
    "secret_protection",
]
