"""Folders that nobody but their owner can look into."""

from __future__ import annotations

from pathlib import Path


def keep_private(folder: Path) -> None:
    """Take from all others what they may do in a folder: what lies in it, now and later, is out of their reach.

    Raises:
        OSError: If the folder belongs to somebody else.
    """
    folder.chmod(0o700)
