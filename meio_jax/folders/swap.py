"""New content of a folder is written beside the old and takes its place when it is whole.

The new content stands in the folder `.next`. Once it is whole a journal is written into it, which says what comes in
and what goes out; then names are moved one by one. A process that dies in between leaves the journal, and the next
command finishes the moves: at no time is the old content gone and the new one not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders.claim import Claim, check_claim
from meio_jax.folders.marks import MARKER, NEXT, OLD, Mark, content, is_plain, read_mark, write_mark, write_whole
from meio_jax.folders.remove import made_folders, remove, remove_empty

_JOURNAL = ".journal.json"


def publish(folder: Path, mark: Mark, outgoing: Iterable[str] = ()) -> None:
    """Let what is in `folder/.next` take its place in the folder.

    Args:
        folder: The folder.
        mark: Its marker from now on.
        outgoing: Entries of the folder that go, besides those that the new content replaces.

    Raises:
        Refusal: If an entry of the user's has the name of one that comes in; nothing has been moved then.
        OSError: If something cannot be written or moved; the next command continues.
    """
    coming = [name for name in content(folder / NEXT) if name != _JOURNAL]
    going = sorted({*outgoing, *coming})
    own = read_mark(folder)
    known = {*outgoing, *(() if own is None else own.entries)}
    for name in coming:
        if name not in known and os.path.lexists(folder / name):
            found, remedy = Note("an entry that this program did not write"), "take it away, or write to another folder"
            raise Refusal(Problem(str(folder / name), "", "", found, "nothing of this name", remedy))
    journal = {"mark": asdict(mark), "incoming": coming, "outgoing": going}
    write_whole(folder / NEXT / _JOURNAL, json.dumps(journal))
    settle(folder)


def settle(folder: Path) -> None:
    """Finish the moves of a process that died while its content took its place; nothing where there are none.

    Raises:
        OSError: If something cannot be moved.
    """
    coming, old = folder / NEXT, folder / OLD
    if coming.is_symlink():
        return
    try:
        journal = json.loads((coming / _JOURNAL).read_text(encoding="utf-8"))
        mark = Mark(**{**journal["mark"], "entries": tuple(journal["mark"]["entries"])})
        names = [(name, True) for name in journal["incoming"]]
        names += [(name, False) for name in journal["outgoing"] if name not in journal["incoming"]]
        # What a journal names is moved and removed: a name must not lead out of the folder.
        if not all(is_plain(name) for name, _ in names):
            return
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return
    if old.is_symlink():
        remove(old)
    old.mkdir(exist_ok=True)
    for name, replaced in names:
        # Where the new entry is in its place already, what is there under its name is not the old one.
        if (not replaced or os.path.lexists(coming / name)) and os.path.lexists(folder / name):
            remove(old / name)
            os.replace(folder / name, old / name)
        if replaced and os.path.lexists(coming / name):
            os.replace(coming / name, folder / name)
    write_mark(folder, mark)
    remove(old)
    (coming / _JOURNAL).unlink()
    remove(coming)


def clear_unfinished(folder: Path) -> None:
    """Take away new content that never became whole.

    Raises:
        OSError: If it cannot be taken away.
    """
    settle(folder)
    remove(folder / NEXT)
    remove(folder / OLD)


@contextmanager
def written_beside(folder: Path, claim: Claim) -> Iterator[Path]:
    """A new folder to write to, whose content takes the place of the old at the end; after an error nothing changes.

    Args:
        folder: The folder to write.
        claim: What is written.

    Raises:
        Refusal: If the folder holds anything that may not be replaced.
        OSError: If something cannot be written.
    """
    check_claim(folder, claim)
    made = made_folders(folder)
    try:
        clear_unfinished(folder)
        coming = folder / NEXT
        coming.mkdir()
        yield coming
        own = read_mark(folder)
        names = tuple(name for name in content(coming) if name != MARKER)
        publish(folder, Mark(claim.kind, names, claim.of), () if own is None else own.entries)
    except BaseException:
        with suppress(OSError):
            if not (folder / NEXT / _JOURNAL).exists():
                remove(folder / NEXT)
        remove_empty(made)
        raise
