"""The page `docs/format.md`, written from the declarations of the tables."""

from __future__ import annotations

import typing
from typing import Any

from meio_jax.tables.columns import Column, Table
from meio_jax.tables.schema import FORECASTS, TABLE_NAMES, table_schema
from meio_jax.tables.settings import InstanceSettings

_INTRODUCTION = """\
# Format of an instance

*This page is generated from the schema by `python docs/write.py`; a test keeps it up to date.*

An instance is a folder with the settings `instance.yaml` and one table for each name below. A table is a
file `NAME.parquet`, a file `NAME.csv`, a workbook `NAME.xlsx`, a sheet `NAME` of the workbook `tables.xlsx`, or
a folder `NAME/` of Parquet parts (read in order of their names; sub-folders `key=value` may group them). Only one
of these may be there. Everything is checked before anything is computed, and all problems are told at once.

* Money is in one currency, volume in m3, weight in kg, time in days where nothing else is said; period 0
  begins on the day `start_date`.
* A period is a day, unless `period` in instance.yaml makes it a week or a month. Then read *day* as *period* in
  everything that is counted by periods: lead times, review periods, the cost of holding and of waiting, capacities,
  forecast and history. Promises, hours and cut-offs (and which node reaches a region in time) stay days and hours.
  Dates of orders are first days of periods; a date in a table may be any day of its period.
* Ids are text. An id column of whole numbers is read as text; in CSV, `007` stays `007`.
* Columns may come in any order. An unknown column is an error: it may be a misspelt one. Columns of your own are not
  read where their names begin with `x_` or are listed in `keep_columns`.
* Where a column numbers periods a column of dates may stand for it (`due_date` for `period_due`, `ds` for `period`): a
  row gives one of the two.
* *Default*: the column may be left out and its cells may be empty. Columns marked *required* must be there
  and filled.
* CSV is UTF-8 with a header, cells parted by commas; an empty cell is no value. Dates are written
  `2025-03-31`.
* Excel workbooks need the extra `excel`. A sheet has its header in the first row; cells are read as text like those of
  CSV, dates and numbers by their values, formulas by the value that was saved with them. A formula that failed
  (`#REF!`) is an error. `NAME.xlsx` has one sheet, or one that is called `NAME`.
* NaN and infinity are errors everywhere, and so are numbers beyond the ranges below, days outside 1950 to 2200, and
  control characters in texts.
* Nothing is left out unseen: a table in a form that is not read (`resources.PARQUET`, `.xls`, `.csv.gz`, a link that
  leads nowhere) is an error, any other entry of the folder that is not read is a warning, and `meio validate` lists the
  tables that were read with their rows.
* Blanks around texts, invisible characters and letters in two parts (Unicode) are taken off, with a warning. Ids that
  differ in case, blanks or leading zeros alone stay different ids, with a warning.
* Tables are checked against each other as well: lanes form no cycle, every region is reached by some node
  within some promise, every class of demand can be served at its speed or a slower one, every item has a
  supply, a node that accepts its storage class, customers that it can be brought to (vendors' nodes and stock, lanes,
  promises) and a forecast of every period, no lead time is longer than `lead_time_limit`, and a resource has the scope
  that its kind needs.

What can be used but is probably not meant is a *warning*: one line a kind with a count, the first place and what to do
(exit status 0; `--strict` makes warnings errors). The warnings of a run are kept in its `instance.json`.

| kind | what is met |
|---|---|
| `not read` | entries of the folder that are not read |
| `texts cleaned`, `near-equal ids` | see above |
| `parts of units`, `parts of days` | least orders and packs that are rounded; lead times between two periods |
| `overdue orders` | due before period 0: taken to arrive in period 0 |
| `returns in history` | negative sales: taken off the latest sales before them |
| `short history`, `no history` | new items: what they have is repeated; without any row, no demand |
| `gap in history`, `history ended` | days without rows that probably are not days without sales |
| `weekly history`, `monthly history` | rows of weeks or months; where all items have them it is an error |
| `promises not met` | demand that no node serves in time |
| `out of reach`, `offers without customers` | demand that an item cannot be brought to, offers of no use |
| `sales that do not pay`, `credit above price`, `all zero` | costs by which a plan buys nothing, or too much |
| `units of size` | grams for kilograms, litres for cubic metres, seconds for hours |
| `overrides expired`, `overrides before the start`, `overrides after the horizon` | decisions that do not apply |
| `planned orders without offers`, `frozen without orders` | frozen periods in which nothing can be ordered |
| `stock above storage`, `least order above storage` | what does not fit |
| `buckets without capacity` | buckets in which a resource is not limited |
| `long lead times` | orders that arrive after the horizon |
| `short shelf lives`, `lanes too slow for a shelf life` | what expires before it can be sold |
| `disposal without a shelf life` | a `waste_cost` of what does not expire |
| `least orders beyond a shelf life` | rules in `vendors` that cost waste |
| `vendors without offers`, `trucks that nothing fills` | rules in `vendors` that are of no use |
"""


_SOURCE_KEYS = (
    (
        "`path`",
        "a file (`.parquet`, `.csv`, `.xlsx`), or an object `s3://...`, `gs://...`; of Parquet objects also a pattern "
        "with `*`. A source that is a text is a path",
        "`cloud` for objects",
    ),
    ("`sheet`", "sheet of a workbook", "`excel`"),
    (
        "`database`, `query`",
        "a DuckDB or SQLite file, `:memory:` (DuckDB without a file) or the URL of a database server; and the SQL "
        "whose result is the table",
        "`sql`; none for SQLite",
    ),
    (
        "`delta`, `version`",
        "a Delta table: its folder or its path in an object store; and which version (default the newest)",
        "`delta`",
    ),
)
_SOURCES = """
### sources

Tables that do not lie in the folder ([examples](in_and_out.md#tables-from-elsewhere)). A table has either a source or
a file. Paths are relative to the folder of the instance; `${NAME}` is the value of an environment variable, and a
password that stands in the text itself is refused.

| key of a source | meaning | extra |
|---|---|---|
""" + "".join(f"| {' | '.join(row)} |\n" for row in _SOURCE_KEYS)


def format_page() -> str:
    """The text of `docs/format.md` (Markdown)."""
    parts = [_INTRODUCTION, _settings()]
    for name in TABLE_NAMES:
        if name == "forecast":
            parts.append("## forecast (one of four forms)\n\nThe setting `forecast` names the form.\n")
            parts += [_table(table, f"### forecast: {form}") for form, table in FORECASTS.items()]
        else:
            table = table_schema(name, "mean")
            free = table.optional or bool(table.without)
            parts.append(_table(table, f"## {name}" + (" (optional)" if free else "")))
    return "\n".join(parts)


def _settings() -> str:
    lines = [
        "## instance.yaml\n",
        "An unknown key is an error.\n",
        "| key | type | range | default | meaning |",
    ]
    lines.append("|---|---|---|---|---|")
    for name, field in InstanceSettings.model_fields.items():
        value = field.get_default(call_default_factory=True)
        default = (
            "required" if field.is_required() else _default(value or "") if isinstance(value, dict) else _default(value)
        )
        bounds = _bounds(field.metadata)
        lines.append(f"| `{name}` | {_type_name(field.annotation)} | {bounds} | {default} | {field.description} |")
    return "\n".join(lines) + "\n" + _SOURCES


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return "list of numbers"
    if typing.get_origin(annotation) is dict:
        return "mapping"
    names: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, "date")


def _bounds(metadata: list[Any]) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f"{sign} {getattr(entry, key):g}" for entry in metadata for key, sign in signs.items() if hasattr(entry, key)
    ]
    return _cell(", ".join(found))


def _table(table: Table, heading: str) -> str:
    without = f" Without the table: {table.without}." if table.without else ""
    lines = [f"{heading}\n", f"{table.meaning}{without}\n"]
    if table.key:
        lines.append(f"Key: {_names(table.key)}.")
    for reference in table.references:
        own, other = _names(reference.columns), _names(reference.target_columns)
        lines.append(f"{own} refers to {other} of `{reference.target}`.")
    lines[2:] = [" ".join(lines[2:]) + "\n"] if lines[2:] else []
    lines += ["| column | type | unit | range | default | meaning |", "|---|---|---|---|---|---|"]
    lines += [row for column in table.columns for row in _rows(column)]
    return "\n".join(lines) + "\n"


def _rows(column: Column) -> list[str]:
    """The row of a column, and that of the column of dates that may stand for it."""
    if not column.or_date:
        return [_row(column)]
    meaning = f"a day of the period, in place of `{column.name}`"
    return [_row(column), f"| `{column.or_date}` | date |  |  | empty | {meaning} |"]


def _row(column: Column) -> str:
    allowed = ", ".join(f"`{value}`" for value in column.allowed)
    default = "required" if column.required else _default(column.default)
    cells = (column.type, column.unit, allowed or column.range_text, default, column.meaning)
    return f"| `{column.name}` | " + " | ".join(_cell(cell) for cell in cells) + " |"


def _default(value: object) -> str:
    if value is None or value in ("", {}):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


def _names(names: tuple[str, ...]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"({listed})" if len(names) > 1 else listed
