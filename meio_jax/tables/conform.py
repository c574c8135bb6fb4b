"""From rows as read to rows of the declared columns and types; every value that does not fit is reported."""

from __future__ import annotations

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.clean_texts import TEXT_EXPECTED, clean_series
from meio_jax.tables.columns import Column, Table
from meio_jax.tables.findings import ROW, Findings, Source, View
from meio_jax.tables.nearest import nearest
from meio_jax.tables.settings import EARLIEST, LATEST

_FOUND = "__found"
_MIDNIGHT = r"[T ]00:00(:00(\.0+)?)?(Z|\+00:00)?$"


def conform(table: Table, source: Source, raw: pl.DataFrame, findings: Findings) -> tuple[View, bool]:
    """Cast `raw` to the columns of `table`; defaults filled, cells that cannot be cast are null and reported.

    Returns the table and whether its columns are all there and of the right type: only then do checks
    across tables make sense.
    """
    sound = _check_names(table, source, raw, findings)
    columns = []
    reported = set(table.column_names) - set(raw.columns)
    for column in table.columns:
        if column.name in raw.columns:
            series, fits, rounded = _cast(column, raw.get_column(column.name))
            if rounded is not None:
                _warn_of_fractions(table, source, raw, column, rounded, findings)
        else:
            series, fits = (
                pl.Series(column.name, [None], dtype=column.dtype).new_from_index(0, raw.height),
                None,
            )
        if fits is not None:
            sound = False
            reported.add(column.name)
            _report_cells(table, source, raw, column, fits, column.expected, findings)
        if series.dtype == pl.String:
            series, changed, refused = clean_series(series)
            if changed is not None:
                _warn_of_cleaning(table, source, raw, column, changed, findings)
            if refused is not None:
                sound = False
                reported.add(column.name)
                _report_cells(table, source, raw, column, refused, TEXT_EXPECTED, findings)
        columns.append(series)
    frame = pl.DataFrame(columns)
    view = _check_cells(View(table, source, frame), reported, findings)
    return _with_defaults(view), sound


def _check_names(table: Table, source: Source, raw: pl.DataFrame, findings: Findings) -> bool:
    known = table.column_names
    unknown = [name for name in raw.columns if name not in known]
    missing = [column for column in table.columns if column.required and column.name not in raw.columns]
    for name in unknown:
        near = nearest(name, [column for column in known if column not in raw.columns])
        hint = f"did you mean {near}? rename" if near else "rename"
        expected = f"a known column (nearest: {near})" if near else "a known column (" + ", ".join(known) + ")"
        findings.add(source.label, "header", name, "", expected, f"{hint} or remove the column")
    for column in missing:
        expected = f"a column with {column.expected}: {column.meaning}"
        findings.add(source.label, "header", column.name, None, expected, "add the column")
    return not missing


def _cast(column: Column, raw: pl.Series) -> tuple[pl.Series, pl.Series | None, pl.Series | None]:
    """The column cast, a mask of cells that cannot be cast, and one of those that were rounded; None for no cell."""
    whole = pl.Series(column.name, [None], dtype=column.dtype).new_from_index(0, len(raw))
    if raw.dtype == pl.Null:
        return whole, None, None
    rounded = None
    texts = raw.dtype == pl.String or isinstance(raw.dtype, pl.Categorical | pl.Enum)
    if texts:
        raw = raw.cast(pl.String)
        # an empty cell of a CSV is read as null; the same text in Parquet means the same
        raw = raw.set(raw == "", None) if (raw == "").any() else raw
    if column.type == "string":
        cast = raw if texts else (raw.cast(pl.String) if raw.dtype.is_integer() else whole)
    elif column.type == "date":
        cast = _plausible(_to_date(raw, texts, whole))
    elif column.type == "bool":
        cast = _to_bool(raw, texts, whole)
    else:
        cast = _to_number(raw, texts, whole)
        if column.type == "int":
            cast, rounded = _to_whole(cast, column.fraction)
    failed = cast.is_null() & raw.is_not_null()
    return cast.alias(column.name), failed if failed.any() else None, rounded


def _to_number(raw: pl.Series, texts: bool, failed: pl.Series) -> pl.Series:
    if not texts and not raw.dtype.is_numeric():
        return failed
    if raw.dtype.is_integer() and failed.dtype == pl.Int64:
        return raw.cast(pl.Int64, strict=False)
    return (raw.str.strip_chars() if texts else raw).cast(pl.Float64, strict=False)


def _to_whole(number: pl.Series, fraction: str) -> tuple[pl.Series, pl.Series | None]:
    """Whole numbers, and a mask of those that were rounded as `fraction` says; null where there is no such number."""
    if number.dtype == pl.Int64:
        return number, None
    part = (number.is_finite() & (number.floor() != number)).fill_null(value=False)
    if fraction == "of one":
        # 0.1 goes into 1 ten times, though not to the last bit.
        times = 1 / number
        part = part & (number > 0) & (number < 1) & ((times - times.round(0)).abs() < 1e-6)
    rounded = part if fraction and part.any() else None
    if rounded is not None:
        number = pl.select(pl.when(part).then(number.ceil()).otherwise(number)).to_series()
    is_whole = number.is_finite() & (number.floor() == number)
    if not is_whole.all():
        number = number.set(~is_whole, None)
    return number.cast(pl.Int64, strict=False), rounded


def _to_date(raw: pl.Series, texts: bool, failed: pl.Series) -> pl.Series:
    if texts:
        return raw.str.replace(_MIDNIGHT, "").str.to_date("%Y-%m-%d", strict=False)
    if raw.dtype == pl.Date:
        return raw
    if raw.dtype == pl.Datetime:
        day = raw.dt.date()
        return day.set(day.cast(raw.dtype) != raw, None)
    return failed


_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def _to_bool(raw: pl.Series, texts: bool, failed: pl.Series) -> pl.Series:
    """True and false, as such, as 0 and 1, or as words in any case."""
    if raw.dtype == pl.Boolean:
        return raw
    if texts:
        word = raw.str.strip_chars().str.to_lowercase()
    elif raw.dtype.is_numeric():
        word = raw.cast(pl.Float64).replace_strict([0.0, 1.0], ["0", "1"], default=None, return_dtype=pl.String)
    else:
        return failed
    words = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    return word.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.Boolean)


def _plausible(day: pl.Series) -> pl.Series:
    """Days of other centuries are slips, and some of them are no dates in Python."""
    return day.set(~day.is_between(EARLIEST, LATEST), None)


def _warn_of_fractions(
    table: Table, source: Source, raw: pl.DataFrame, column: Column, rounded: pl.Series, findings: Findings
) -> None:
    bad = _cells(table, raw, column, rounded)
    findings.warn_rows(
        View(table, source, bad),
        bad,
        "parts of units",
        f"values of {column.name} in {table.name} are rounded up, since orders are whole units",
        _literal(f"{bad[_FOUND][0]}"),
        "write whole units, or another unit of count",
    )


def _warn_of_cleaning(
    table: Table, source: Source, raw: pl.DataFrame, column: Column, changed: pl.Series, findings: Findings
) -> None:
    bad = _cells(table, raw, column, changed)
    findings.warn_rows(
        View(table, source, bad),
        bad,
        "texts cleaned",
        "texts with blanks around them, invisible characters or letters in two parts are read without these",
        _literal(f"{column.name} {bad[_FOUND][0]!r}"),
        "correct the texts where they come from",
    )


def _cells(table: Table, raw: pl.DataFrame, column: Column, chosen: pl.Series) -> pl.DataFrame:
    """Rows of some cells, their values as text in `_FOUND`: what Python cannot hold (the year 20000) can be shown."""
    keys = [name for name in table.key if name in raw.columns and name != column.name]
    texts = [pl.col(name).cast(pl.String, strict=False) for name in keys]
    value = pl.col(column.name)
    if raw.schema[column.name].is_temporal():
        value = value.cast(pl.String, strict=False)
    return raw.select([*texts, value.alias(_FOUND)]).with_row_index(ROW).filter(chosen)


def _report_cells(
    table: Table,
    source: Source,
    raw: pl.DataFrame,
    column: Column,
    failed: pl.Series,
    expected: str,
    findings: Findings,
) -> None:
    bad = _cells(table, raw, column, failed)
    kind = raw.schema[column.name]
    textual = kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum)
    right = column.type == "date" and kind.is_temporal()
    if not (textual or right) and bad.height == raw.height - raw.get_column(column.name).null_count():
        # every value fails: the type of the column is at fault, and one line says so
        found = Note(f"type {kind}, such as {bad.item(0, _FOUND)!r}")
        remedy = "write the column with the right type"
        findings.add(source.label, "header", column.name, found, column.expected, remedy)
        return
    view, filled = View(table, source, bad), raw.height - raw.get_column(column.name).null_count()
    remedy = "write a decimal point (1.5 for 1,5)" if _with_commas(column, bad) else "correct the value"
    findings.add_rows(view, bad, column.name, _literal(expected), remedy, value=_FOUND, of=filled)


def _with_commas(column: Column, bad: pl.DataFrame) -> bool:
    texts = bad.schema[_FOUND] == pl.String and column.type in ("int", "float")
    return texts and bool(bad[_FOUND].str.contains(r"^\s*-?\d+,\d+\s*$").all())


def _check_cells(view: View, reported: set[str], findings: Findings) -> View:
    """Null, NaN, range and allowed values; columns in `reported` may hold null, that was said already.

    NaN and infinity become null, so that later checks do not trip on them.
    """
    tests: list[tuple[str, pl.Expr, str, str]] = []
    for column in view.table.columns:
        col = pl.col(column.name)
        if column.required and column.name not in reported:
            tests.append((column.name, col.is_null(), column.expected, "fill in the value"))
        if column.type == "float":
            tests.append((column.name, ~col.is_finite(), column.expected, "write a finite number"))
        if (outside := column.out_of_range()) is not None:
            real = outside & col.is_finite() if column.type == "float" else outside
            tests.append((column.name, real, column.expected, column.hint))
        if column.allowed:
            tests.append((column.name, ~col.is_in(list(column.allowed)), column.expected, "use one of these"))
    flags = view.frame.lazy().select([test.any().alias(str(i)) for i, (_, test, _, _) in enumerate(tests)]).collect()
    for i, (name, test, expected, remedy) in enumerate(tests):
        if flags.item(0, i):
            findings.add_rows(view, view.rows(test), name, _literal(expected), _literal(remedy))
    floats = [column.name for column in view.table.columns if column.type == "float"]
    finite = [pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats]
    return View(view.table, view.source, view.frame.with_columns(finite)) if floats else view


def _with_defaults(view: View) -> View:
    fills = [
        pl.col(column.name).fill_null(pl.lit(column.default, dtype=column.dtype))
        for column in view.table.columns
        if column.default is not None
    ]
    return View(view.table, view.source, view.frame.with_columns(fills)) if fills else view


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
