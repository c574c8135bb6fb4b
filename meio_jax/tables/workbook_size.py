"""What a workbook expands to, measured before it is read: a few bytes may stand for gigabytes of text or of cells.

A workbook is an archive of XML files, and the library that reads it makes room for the whole rectangle from the first
to the last cell of a sheet: one cell far off (`XFD1048576`) asks for more memory than there is and ends the process.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections import deque

from meio_jax.errors import first_line

MOST_BYTES = 2 * 2**30
"""Bytes of all parts of a workbook, unpacked."""
MOST_CELLS = 50_000_000
"""Cells of the rectangle that a sheet fills: as many rows as a sheet has, in 47 columns."""
_PIECE = 1 << 22
_BLANKS, _ONE_QUOTE = b" \t\r\n", bytes.maketrans(b"'", b'"')
"""XML allows blanks around the parts of a place, and either quote: without the ones all places look alike."""
_LETTERS, _DIGITS = re.compile(rb'r="([A-Za-z]+)\d*"'), re.compile(rb'r="[A-Za-z]+(\d+)"')
_LONGEST = 200
"""Bytes of the end of a piece that may hold the begin of a cell."""


_CHECKED: deque[bytes] = deque(maxlen=64)
"""Digests of workbooks that were measured: every sheet asks anew."""


def check_size(content: bytes) -> None:
    """Make sure that a workbook can be read.

    Args:
        content: Its bytes.

    Raises:
        ValueError: If it unpacks to too many bytes, a sheet has cells too far off, or it is no archive.
    """
    digest = hashlib.blake2b(content, digest_size=16).digest()
    if digest in _CHECKED:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            left = MOST_BYTES
            for part in archive.infolist():
                left = _measure(archive, part, left)
        _CHECKED.append(digest)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(first_line(error)) from None


def _measure(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> int:
    """Unpack a part piece by piece and look at its cells; bytes that are left for the parts that follow."""
    is_sheet = part.filename.lower().startswith("xl/worksheets/") and part.filename.lower().endswith(".xml")
    columns, rows, before = set[bytes](), [2**63, -1], b""
    with archive.open(part) as unpacked:
        while piece := unpacked.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"more than {MOST_BYTES // 2**30} GiB when unpacked")
            if is_sheet:
                _look(before + piece, columns, rows)
                _check_rectangle(columns, rows)
                before = piece[-_LONGEST:]
    return left


def _look(text: bytes, columns: set[bytes], rows: list[int]) -> None:
    """Add the columns of the cells of a piece (such as `r="AB12"`), and widen the range of their rows."""
    plain = text.translate(_ONE_QUOTE, delete=_BLANKS)
    columns.update(_LETTERS.findall(plain))
    numbers = {int(number[:18]) for number in set(_DIGITS.findall(plain))}
    if numbers:
        rows[:] = [min(rows[0], *numbers), max(rows[1], *numbers)]


def _check_rectangle(columns: set[bytes], rows: list[int]) -> None:
    if not columns:
        return
    width = max(map(_number, columns)) - min(map(_number, columns)) + 1
    if width * (rows[1] - rows[0] + 1) > MOST_CELLS:
        far = max(columns, key=_number).decode()[:8]
        most = f"{MOST_CELLS:,}"
        raise ValueError(f"cells out to column {far} and row {rows[1]}, more than {most} with all between")


def _number(letters: bytes) -> int:
    """Number of a column by its letters, from 1."""
    number = 0
    for letter in letters.upper()[:12]:
        number = number * 26 + letter - 64
    return number
