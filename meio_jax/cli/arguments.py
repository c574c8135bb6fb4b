"""What is asked of every word of the command line, whichever command it is for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from meio_jax.errors import Problem, Refusal


def check_texts(words: Sequence[str]) -> None:
    """Make sure that all words, and the folder that the command is called in, are UTF-8.

    Readers and writers of tables take paths as UTF-8 only, and other names would stop them halfway.

    Raises:
        Refusal: If a word, or the name of the folder, is not.
    """
    here = ""
    # A folder that was taken away has no name: what is missing in it is told where it is read.
    with suppress(OSError):
        here = str(Path.cwd())
    for place, text in [*(("meio", word) for word in words), ("the current folder", here)]:
        if not _is_utf8(text):
            remedy = "rename the file or folder, or call it by a link that has such a name"
            raise Refusal(Problem(place, "", "", text, "a name in UTF-8", remedy))


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
