"""From the parts of each table as read to checked frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from meio_jax.errors import InputError, Note
from meio_jax.tables.check_resources import fill_measures
from meio_jax.tables.columns import Table
from meio_jax.tables.conform import conform
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.dated import with_periods, without_own_columns
from meio_jax.tables.defaults import ABOUT_CUSTOMERS, speeds_named, with_defaults
from meio_jax.tables.findings import Findings, Source, View
from meio_jax.tables.frames import Frame, as_polars
from meio_jax.tables.nearest import nearest
from meio_jax.tables.new_items import with_new_items
from meio_jax.tables.quantiles import interpret, quantile_columns, quantile_level
from meio_jax.tables.schema import ITEM_TABLES, TABLE_NAMES, table_schema
from meio_jax.tables.settings import InstanceSettings
from meio_jax.tables.settle import settle, spread_rows
from meio_jax.tables.sources import Part
from meio_jax.tables.validate import validate


def assemble(
    settings: InstanceSettings | None,
    parts: Mapping[str, Sequence[Part] | None],
    scope: Scope,
    findings: Findings,
    given: Mapping[str, View] | None = None,
) -> dict[str, pl.DataFrame]:
    """Conform every table and check all of them together: all tables by name, those that are not there empty.

    Args:
        settings: None where `instance.yaml` could not be read (then `findings` says so, and what does not
            depend on it is still checked).
        parts: the files of each table; None for a table that could not be read, absent for a table that is
            not there.
        scope: which tables to expect.
        findings: problems found so far.
        given: tables that are checked already.

    Raises:
        InputError: with all problems, those in `findings` included.
    """
    form = settings.forecast if settings is not None else "mean"
    views: dict[str, View] = dict(given or {})
    sound: dict[str, View] = dict(given or {})
    absent: list[str] = []
    for name in TABLE_NAMES:
        unknowable = name == "forecast" and settings is None
        if name in views or unknowable or (scope is Scope.NETWORK and name in ITEM_TABLES):
            continue
        table = table_schema(name, form)
        if name not in parts and table.without:
            absent.append(name)
        elif name not in parts:
            views[name] = sound[name] = View(table, Source(name), table.empty())
            if not table.optional:
                _missing(table, findings)
                del sound[name]
        elif (pieces := parts[name]) is not None:
            kept = [without_own_columns(table, one, settings) for one in pieces]
            kept = [with_periods(table, one, settings, findings) for one in kept]
            view, fits = _conform_parts(table, kept, form, findings)
            if name == "resources":
                view = View(table, view.source, fill_measures(view.frame))
            views[name] = view
            if not fits:
                continue
            views[name] = sound[name] = view = settle(view, findings)
            if not table.optional and view.frame.height == 0 and scope is not Scope.BLOCK:
                findings.add(view.source.label, "", "", Note("no rows"), "at least one row", "fill in the table")
                del sound[name]
    if settings is not None:
        sound, findings.assumed = with_defaults(sound, absent, settings)
        views.update({name: sound[name] for name in absent if name in sound})
        if not findings.problems:
            _tell_needed([name for name in absent if name not in sound], sound, form, findings)
    if settings is not None and "items" in sound and "forecast" in sound and scope is not Scope.NETWORK:
        views["forecast"] = sound["forecast"] = with_new_items(
            sound["items"], sound["forecast"], settings, scope, findings
        )
    validate(Context(sound, settings, scope, findings))
    _tell_assumed(findings)
    findings.raise_if_any()
    frames = {name: views[name].frame if name in views else table_schema(name, form).empty() for name in TABLE_NAMES}
    if settings is not None and form == "history":
        frames["forecast"] = spread_rows(frames["forecast"], settings.history_row_days)
    return frames


def _missing(table: Table, findings: Findings, why: str = "") -> None:
    """Tell that a table that has to be there is not; `why`: of one that may be left out elsewhere."""
    name = table.name
    wanted = f"a table {name}.parquet, {name}.csv, {name}.xlsx or {name}/ with Parquet parts{why}"
    purpose = table.meaning.split(".")[0].lower()
    findings.add(name, "", "", "", wanted, f"add the table ({purpose})")


def _tell_needed(names: list[str], sound: Mapping[str, View], form: str, findings: Findings) -> None:
    """Tell which of the tables that may be left out cannot be: the first, on which the others wait."""
    several = speeds_named(sound)
    if "speeds" in names and len(several) > 1:
        why = f": several are named ({', '.join(several[:5])}), and how fast each is nobody else says"
        _missing(table_schema("speeds", form), findings, why)
        return
    for name in names:
        _missing(table_schema(name, form), findings)


def _tell_assumed(findings: Findings) -> None:
    """Where something is wrong with customers and promises, say what stands in for tables that were left out."""
    if findings.assumed and any(one.file.split(".")[0] in ABOUT_CUSTOMERS for one in findings.problems):
        remedy, said = "give a table of your own where this is not so", findings.assumed.items()
        taken = Note("; ".join(f"{name}: {text}" for name, text in said))
        findings.add("tables left out", "", "", taken, "as is", remedy)


def parts_of(frames: Mapping[str, Frame], findings: Findings) -> dict[str, Sequence[Part] | None]:
    """Frames held in memory as if they had been read; a name that is no table is a finding, and so is no frame."""
    for name in frames:
        if name not in TABLE_NAMES:
            near = nearest(name, TABLE_NAMES)
            findings.add(name, "", "", "", "only known tables", f"did you mean {near}?" if near else "leave it out")
    parts: dict[str, Sequence[Part] | None] = {}
    for name, frame in frames.items():
        if name in TABLE_NAMES:
            try:
                parts[name] = [Part(as_polars(frame, name), Source(name))]
            except InputError as error:
                findings.extend(error)
                parts[name] = None
    return parts


def _conform_parts(table: Table, parts: Sequence[Part], form: str, findings: Findings) -> tuple[View, bool]:
    """All parts of a table as one; false where the columns of some part do not fit."""
    quantiles = table.name == "forecast" and form == "quantiles"
    fits = True
    if quantiles:
        table, fits = _with_levels(table, parts[0], findings)
    views = []
    for part in parts:
        if quantiles:
            part = Part(_plain_names(part.frame), part.source)
        view, whole = conform(table, part.source, part.frame, findings)
        views.append(view)
        fits = fits and whole
    if len(views) == 1:
        return views[0], fits
    starts = []
    start = 0
    for view in views:
        starts.append((view.source.label, start))
        start += view.frame.height
    kind = views[0].source.kind
    source = Source(views[0].source.whole.rstrip("/") + "/", kind, tuple(starts))
    return View(table, source, pl.concat([view.frame for view in views])), fits


def _with_levels(table: Table, part: Part, findings: Findings) -> tuple[Table, bool]:
    """The declaration of the quantile table with a column for each level found in its first part."""
    names = interpret(part.frame.columns)
    levels = sorted(level for name in names.rename if (level := quantile_level(name)) is not None)
    label = part.source.label
    for name in names.twice:
        findings.add(label, "header", name, "", "one column per quantile level", "remove one of the two columns")
    if len(names.models) > 1:
        findings.add(
            label,
            "header",
            "",
            ", ".join(names.models),
            "quantiles of one model",
            "keep the columns of one model",
        )
    if len(levels) < 2:
        found = Note("columns " + ", ".join(part.frame.columns))
        findings.add(label, "header", "", found, "two or more quantile columns, such as q0.1, q0.9", "add the columns")
    fits = len(levels) >= 2 and not names.twice and len(names.models) <= 1
    return replace(table, columns=table.columns + quantile_columns(levels)), fits


def _plain_names(frame: pl.DataFrame) -> pl.DataFrame:
    names = interpret(frame.columns)
    return frame.drop([*names.ignored, *names.twice]).rename(names.rename)
