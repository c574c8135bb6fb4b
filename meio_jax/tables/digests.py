"""Digests of the files of an instance, taken of the bytes that are used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def file_digest(name: str, content: bytes) -> str:
    """Digest of a file.

    Args:
        name: Its path from the folder of the instance.
        content: Its bytes.
    """
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape") + content, digest_size=16).hexdigest()


def joint_digest(digests: Sequence[str]) -> str:
    """Digest of the parts of a table, from those of its files in order of their names."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
