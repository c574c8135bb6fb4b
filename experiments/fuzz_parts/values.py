"""Values that files hold by accident or by malice, by the kind of column that they are put into."""

from __future__ import annotations

import datetime
import random

import polars as pl

NUMBERS: tuple[float | None, ...] = (
    *(None, float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 0.5, 1.0, 1e-300, 1e-9, 1e6, 1e9, 1e12, 1e30),
    *(1e39, 1e300, -1e300, 2.0**53, 1.5, 100.0, -0.0, 3660.0, 23.999, 24.0, 25.0, 0.3, 7.0, 1e-40),
)
WHOLE: tuple[int | None, ...] = (None, -1, 0, 1, 2, 5, 7, 13, 100, 3660, 10**6, 10**9, 2**31, 2**53, 2**62, -(2**62))
TEXTS: tuple[str | None, ...] = (
    *(None, "", " ", "x", "\x00", "\x1b[31m", "a\nb", "\t", "=1+1", "@x", "-1", "a" * 201, "a" * 5000),
    *("\u200b", "\u202e", "e\u0301", "\ufeff", "NaN", "null", "None", "{x}", "{0}", "%s", "'; --", "a;b", "[bold]b"),
    *("../../etc", "\u4e2d\u6587", "\U0001f4a9", "1e5", "007", "lost", "fixed"),
)
DATES: tuple[datetime.date | None, ...] = (
    None,
    *(datetime.date(*day) for day in ((1, 1, 1), (9999, 12, 31), (1900, 1, 1), (1970, 1, 1), (2025, 6, 2))),
    *(datetime.date(*day) for day in ((2025, 6, 1), (2024, 2, 29), (2010, 1, 1), (2199, 12, 31), (2025, 5, 30))),
)
YAML_VALUES: tuple[str, ...] = (
    *("null", "true", "[]", "{}", "''", "' '", "-1", "0", "1", "7", "0.5", "1e300", ".inf", ".nan", "-.inf", "1e9"),
    *("1000000000", "99999999999999999999", "9" * 4400, "0x" + "f" * 5000, "2025-13-45", "2025-02-30", "0001-01-01"),
    *("9999-12-31", "2025-06-02", '"a\\0b"', '"\\e[31m"', "[1, 2, 3]", "{a: 1}", "'x'", "[[[[[[]]]]]]", "history"),
    *("mean", "paths", "quantiles", "week", "month", "[24]", "[11, 24]", "[24, 11]", "[0]", "100", "3660", "3", "1e-9"),
    *("!!python/object/apply:os.system ['true']", "&a [*a]", "*b", "1_000", "12:30:45", "yes", "~", "a: b: c", "'" * 3),
)


def hostile(dtype: pl.DataType, present: pl.Series, dice: random.Random) -> object:
    """A value for a column: one of the pool of its type, one that is there already, or one of another type."""
    roll = dice.random()
    if roll < 0.15 and len(present):
        return present[dice.randrange(len(present))]
    if dtype == pl.String:
        found = dice.choice(TEXTS)
        if roll < 0.4 and len(present) and isinstance(near := present[dice.randrange(len(present))], str):
            found = dice.choice([near + " ", near.upper(), near.lower(), "\u00a0" + near, near + "\u200b", near[:-1]])
        return found
    if dtype == pl.Date:
        return dice.choice(DATES)
    if dtype == pl.Boolean:
        return dice.choice((True, False, None))
    if dtype.is_integer():
        return dice.choice(WHOLE)
    return dice.choice(NUMBERS)
