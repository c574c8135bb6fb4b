"""Digests of the files of an instance, taken of the bytes that are used."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import polars as pl


def file_digest(name: str, content: bytes) -> str:
    """Digest of a file.

    Args:
        name: Its path from the folder of the instance.
        content: Its bytes.
    """
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape") + content, digest_size=16).hexdigest()


def stream_digest(name: str, content: io.BufferedReader | io.BytesIO) -> str:
    """Digest of a file, as `file_digest`, read piece by piece.

    Args:
        name: Its path from the folder of the instance.
        content: The open file.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16)
    while chunk := content.read(1 << 22):
        digest.update(chunk)
    return digest.hexdigest()


def rows_digest(name: str, frame: pl.DataFrame) -> str:
    """Digest of rows that are no file of their own, such as a sheet of a workbook: of their text as CSV.

    Args:
        name: Under which the digest is kept.
        frame: The rows, in order.
    """
    return stream_digest(name, io.BytesIO(frame.write_csv().encode()))


def joint_digest(digests: Sequence[str]) -> str:
    """Digest of the parts of a table, from those of its files in order of their names."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
