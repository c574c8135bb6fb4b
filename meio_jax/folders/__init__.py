"""Folders that commands write: whose they are, who is at work in them, and how new content takes the place of old."""

from meio_jax.folders.claim import Claim, check_claim
from meio_jax.folders.lock import check_free, held, used
from meio_jax.folders.marks import MARKER, Mark, content, read_mark, write_mark
from meio_jax.folders.private import keep_private
from meio_jax.folders.remove import remove
from meio_jax.folders.swap import NEXT, clear_unfinished, publish, settle, written_beside
from meio_jax.folders.trouble import writing

__all__ = [
    "MARKER",
    "NEXT",
    "Claim",
    "Mark",
    "check_claim",
    "check_free",
    "clear_unfinished",
    "content",
    "held",
    "keep_private",
    "publish",
    "read_mark",
    "remove",
    "settle",
    "used",
    "write_mark",
    "writing",
    "written_beside",
]
