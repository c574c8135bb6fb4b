"""Taking files and folders away without ever following a symbolic link."""

from __future__ import annotations

import shutil
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a symbolic link (never what it points to); nothing if not there.

    Raises:
        OSError: If it cannot be removed.
    """
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        # Links below are removed as links: the library refuses to descend into them.
        shutil.rmtree(path)


def made_folders(folder: Path) -> list[Path]:
    """Make a folder and its parents; those that were missing, the deepest first."""
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove those folders that hold nothing, in this order, up to the first that holds something."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
