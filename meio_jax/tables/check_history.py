"""Checks of past sales: days that cannot be, and histories that are probably not what they seem."""

from __future__ import annotations

import datetime

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.periods import PeriodLength
from meio_jax.tables.settings import InstanceSettings

LONG_GAP: dict[PeriodLength, int] = {"day": 90, "week": 13, "month": 3}
"""Periods without a row that are told, where they are a third of the history or more."""
LONG_SILENCE: dict[PeriodLength, int] = {"day": 28, "week": 8, "month": 3}
"""Periods without a row before the start that are told, where they are four times the longest gap before or more."""
_REGULAR = 6
"""Rows of an item that are enough to see that they are weeks or months."""


def check_history(context: Context, history: View, settings: InstanceSettings) -> None:
    """Run every check of this module."""
    _check_days(context, history, settings)
    inside = with_period(history, settings).lazy().filter(pl.col("period") < 0)
    spans = _spans(inside, settings).collect()
    _warn_of_short(context, history, spans, settings)
    _warn_of_gaps(context, history, inside, spans, settings)
    _warn_of_end(context, history, spans, settings)
    # Who writes `period: day` has said that the rows are days.
    if settings.history_row_days == 1 and "period" not in settings.model_fields_set:
        _check_rhythm(context, history, spans)
    _warn_of_none(context, history)


def with_period(view: View, settings: InstanceSettings) -> pl.DataFrame:
    """Rows whose day is known, numbered in `ROW`, with the number of their period in `period`."""
    frame = view.numbered().drop_nulls([view.table.item_column, "ds"]).collect()
    numbers = settings.periods_of(frame.get_column("ds").to_numpy().astype("datetime64[D]"))
    return frame.with_columns(pl.Series("period", numbers, dtype=pl.Int64))


def _check_days(context: Context, history: View, settings: InstanceSettings) -> None:
    start, span = settings.start_date, settings.history_row_days
    last = start - datetime.timedelta(days=span)
    days = f", each row standing for {span} days (history_row_days)" if span > 1 else ""
    context.findings.add_rows(
        history,
        history.rows(pl.col("ds") > last),
        "ds",
        f"a day before {start} (start_date in instance.yaml){days}" if span == 1 else f"a day up to {last}{days}",
        "remove the row or move start_date",
    )
    first = start - datetime.timedelta(days=settings.history_limit)
    context.findings.add_rows(
        history,
        history.rows(pl.col("ds") < first),
        "ds",
        f"a day from {first} on ({settings.history_limit} days before the start: history_limit in instance.yaml); "
        "every day from the first row on counts, and those without a row count as days without sales",
        "correct the day or remove the row",
    )


def _spans(inside: pl.LazyFrame, settings: InstanceSettings) -> pl.LazyFrame:
    """Of every item: rows, first and last day, longest and shortest gap, the day after the longest gap, row number.

    Gaps, lengths and silences are counted in periods.
    """
    gap = pl.col("period").diff()
    return (
        inside.sort("item_id", "ds")
        .group_by("item_id", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            pl.col(ROW).min(),
            pl.col("ds").min().alias("first"),
            pl.col("ds").max().alias("last"),
            gap.max().fill_null(1).alias("gap"),
            gap.min().fill_null(1).alias("step"),
            (gap % 7 == 0).all().alias("weeks"),
            gap.is_between(28, 31).all().alias("months"),
            pl.col("ds").get(gap.fill_null(0).arg_max()).alias("resumed"),
            pl.col("period").get(gap.fill_null(0).arg_max()).alias("again"),
            -pl.col("period").min().alias("length"),
            (-settings.history_row_days - pl.col("period").max()).alias("silence"),
            pl.col("units").sum().alias("sold"),
        )
    )


def _warn_of_short(context: Context, history: View, spans: pl.DataFrame, settings: InstanceSettings) -> None:
    block = settings.history_block
    context.findings.warn_rows(
        history,
        spans.filter((pl.col("length") < block) & (pl.col("length") > 0)),
        "short history",
        f"items with less than {block} {settings.period}s of past sales (history_block): what they have is repeated",
        f"{{length}} {settings.period}s, from {{first}} on",
        "name a like item (items.like_item) or a rate (items.rate) for the time before, or shorten history_block",
    )


def _warn_of_gaps(
    context: Context, history: View, inside: pl.LazyFrame, spans: pl.DataFrame, settings: InstanceSettings
) -> None:
    least, word = LONG_GAP[settings.period], settings.period
    wide = spans.filter((pl.col("gap") >= least) & (pl.col("gap") * 3 >= pl.col("length")))
    if wide.is_empty():
        return
    after = inside.join(wide.lazy().select("item_id", "resumed"), on="item_id").filter(
        pl.col("ds") >= pl.col("resumed")
    )
    recent = after.group_by("item_id").agg(pl.col("units").sum().alias("since")).collect()
    told = wide.join(recent, on="item_id", how="left").with_columns(
        (pl.col("since") / -pl.col("again")).round(2).alias("rate"),
        (pl.col("sold") / pl.col("length")).round(2).alias("mean"),
    )
    context.findings.warn_rows(
        history,
        told,
        "gap in history",
        f"items without a row for {least} {word}s or more, a third of their history at least: these count as {word}s "
        "without sales",
        f"nothing for {{gap}} {word}s up to {{resumed}}; {{rate}} a {word} since then, {{mean}} a {word} over all",
        "correct the day, or remove the rows before the gap",
    )


def _warn_of_end(context: Context, history: View, spans: pl.DataFrame, settings: InstanceSettings) -> None:
    if spans.is_empty():
        return
    remedy = (
        "bring the history up to the day before start_date, or move start_date; remove items that are discontinued, or "
        "give the day from which on they are not bought any more (items.phase_out), so that their stock is sold off"
    )
    word = settings.period
    silent = int(spans.select(pl.col("silence").min()).item())
    if context.scope is Scope.ALL and silent > settings.history_block:
        last = spans.select(pl.col("last").max()).item()
        what = f"the history of every item ended long before the start: what follows counts as {word}s without sales"
        example = f"the last row of all is of {last}, with {silent} {word}s between it and {settings.start_date}"
        context.findings.warn("history ended", spans.height, what, example, remedy)
        return
    context.findings.warn_rows(
        history,
        spans.filter((pl.col("silence") >= LONG_SILENCE[word]) & (pl.col("silence") >= 4 * pl.col("gap"))),
        "history ended",
        f"items whose history ended long before the start: what follows counts as {word}s without sales",
        f"last row {{last}}, with {{silence}} {word}s between it and the start",
        remedy,
    )


def _check_rhythm(context: Context, history: View, spans: pl.DataFrame) -> None:
    """Rows of weeks or months: an error where all items have them, since demand would come on one day of seven."""
    many = spans.filter(pl.col("rows") >= _REGULAR)
    for word, days, regular in (
        ("weekly", 7, pl.col("weeks") & (pl.col("step") == 7)),
        ("monthly", 30, pl.col("months")),
    ):
        found = many.filter(regular)
        if found.is_empty():
            continue
        if found.height == many.height and context.scope is Scope.ALL:
            row = found.row(0, named=True)
            context.findings.add(
                history.source.label,
                f"item_id={row['item_id']}",
                "ds",
                Note(f"{word} rows: {row['rows']} rows from {row['first']} to {row['last']}, as for every item"),
                "sales by day (a day without a row is a day without sales)",
                f"set history_row_days: {days} in instance.yaml if a row is the sum of {days} days from its day on, "
                f"period: {word[:-2]} to plan by the {word[:-2]}, or period: day if sales are made on "
                "these days only",
            )
            continue
        context.findings.warn_rows(
            history,
            found,
            f"{word} history",
            f"items with {word} rows among items with daily ones: the days between count as days without sales",
            "{rows} rows from {first} to {last}",
            "spread the units over the days that a row stands for, or add rows of 0 for the days between",
        )


def _warn_of_none(context: Context, history: View) -> None:
    if not (found := context.get("items")):
        return
    (items,) = found
    bare = items.numbered().join(history.frame.lazy().select("item_id"), on="item_id", how="anti").collect()
    context.findings.warn_rows(
        items,
        bare.drop_nulls("item_id"),
        "no history",
        "items without past sales are planned with no demand",
        "no row in forecast",
        "name a like item (items.like_item) or a rate (items.rate), or remove the item",
    )
