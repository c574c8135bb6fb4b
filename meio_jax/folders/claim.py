"""Whether a command may write to a folder: an absent or empty one, or one that it can prove to be its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders.marks import content, read_mark


@dataclass(frozen=True)
class Claim:
    """What a command wants to write where.

    `kind` and `of` are those of the folder's marker, `option` is how the user names the folder, `overwrite` whether the
    user said that what an earlier command left may be replaced, and `flag` whether that must be said.
    """

    kind: str
    option: str
    of: str = ""
    overwrite: bool = False
    flag: bool = True


def check_claim(folder: Path, claim: Claim, found: str = "") -> bool:
    """Whether there is something to replace.

    Args:
        folder: Where a command wants to write.
        claim: What it wants to write.
        found: What is there, in words, where it is the command's own.

    Raises:
        Refusal: If the folder holds anything that the command may not replace.
    """
    try:
        names = content(folder)
    except OSError as error:
        what = Note("a file" if isinstance(error, NotADirectoryError) else f"{error.strerror or error}")
        raise _refused(folder, claim, what, "give another folder") from None
    if not names:
        return False
    own = read_mark(folder)
    if own is None or own.kind != claim.kind:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        what = Note(f"a folder with content that is not {_named(claim.kind)} of this program ({shown})")
        raise _refused(folder, claim, what, "give another folder, or take away yourself what is in it")
    if own.of != claim.of:
        raise _refused(folder, claim, Note(f"{_named(own.kind)} of {own.of}"), "give another folder")
    if claim.flag and not claim.overwrite:
        remedy = "replace it with --overwrite, or give another folder"
        raise _refused(folder, claim, Note(found or f"{_named(own.kind)} that is there already"), remedy)
    return True


def _named(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _refused(folder: Path, claim: Claim, found: Note, remedy: str) -> Refusal:
    return Refusal(Problem(str(folder), claim.option, "", found, "an absent or empty folder", remedy))
