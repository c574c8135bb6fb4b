"""Texts as they are meant: without blanks around them and characters that nobody sees; others are refused."""

from __future__ import annotations

import unicodedata

import polars as pl

LONGEST_TEXT = 200
"""Characters of a cell that is an id or a name."""
TEXT_EXPECTED = f"text of at most {LONGEST_TEXT} characters without control characters"

SUSPECT = r"^\s|\s$|[^\x20-\x7E]"
"""Texts that may need cleaning: blanks at an end, or anything but printable ASCII."""


def clean_text(text: str) -> str:
    """The text without blanks around it and without invisible characters, its letters in composed form (NFC)."""
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFC", seen).strip()


def is_plain(text: str) -> bool:
    """Whether a cleaned text can be shown on a terminal as it is, and is not too long."""
    if len(text) > LONGEST_TEXT:
        return False
    return text.isprintable() or all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in text)


def clean_series(raw: pl.Series) -> tuple[pl.Series, pl.Series | None, pl.Series | None]:
    """A column of texts cleaned, with masks of cells that were changed and of those that cannot be used.

    Cells that cannot be used are null, as are those of which nothing is left. A mask is None where it would be
    false everywhere.
    """
    suspect = raw.str.contains(SUSPECT) | (raw.str.len_chars() > LONGEST_TEXT)
    if not suspect.any():
        return raw, None, None
    found = raw.filter(suspect.fill_null(value=False)).unique().to_list()
    cleaned = {text: clean_text(text) for text in found}
    usable = {text: new or None if is_plain(new) else None for text, new in cleaned.items()}
    refused = [text for text, new in cleaned.items() if not is_plain(new)]
    changed = [text for text, new in usable.items() if new is not None and new != text]
    result = raw.replace(pl.Series(found, dtype=pl.String), pl.Series(list(usable.values()), dtype=pl.String))
    return result, _among(raw, changed), _among(raw, refused)


def _among(raw: pl.Series, texts: list[str]) -> pl.Series | None:
    return raw.is_in(pl.Series(texts, dtype=pl.String).implode()) if texts else None


def likeness(name: str) -> pl.Expr:
    """What alike ids share: their letters without case, blanks, and zeros that spreadsheets add or drop."""
    plain = pl.col(name).str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s", "")
    return plain.str.replace(r"^0+(\d)", "$1").str.replace(r"^(\d+)\.0+$", "$1")
