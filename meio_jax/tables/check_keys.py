"""Keys without duplicates, and references to rows that exist."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import View
from meio_jax.tables.schema import ITEM_TABLES


def _to_check(context: Context) -> list[View]:
    only = ITEM_TABLES if context.scope is Scope.BLOCK else tuple(context.views)
    return [view for name, view in context.views.items() if name in only]


def check_keys(context: Context) -> None:
    """No two rows of a table share its key; the second and later ones are reported."""
    for view in _to_check(context):
        key = list(view.table.key)
        if not key or view.frame.select(key).n_unique() == view.frame.height:
            continue
        first = pl.struct(key).is_first_distinct() if len(key) > 1 else pl.col(key[0]).is_first_distinct()
        again = view.rows(~first & pl.all_horizontal(pl.col(name).is_not_null() for name in _given(view)))
        context.findings.add_rows(
            view,
            again,
            ", ".join(key),
            f"one row per ({', '.join(key)})",
            "remove or merge the repeated row",
            note="the same key as an earlier row",
        )


def _given(view: View) -> list[str]:
    # an empty cell in a column that must be filled was reported already
    return [name for name in view.table.key if view.table.column(name).required]


def check_references(context: Context) -> None:
    """Values of a reference occur in the table it points to; empty cells are let be."""
    for view in _to_check(context):
        for reference in view.table.references:
            target = context.views.get(reference.target)
            if target is None:
                continue
            own, other = list(reference.columns), list(reference.target_columns)
            filled = view.numbered().filter(pl.all_horizontal(pl.col(name).is_not_null() for name in own))
            lost = filled.join(
                target.frame.lazy().select(other).unique(), left_on=own, right_on=other, how="anti"
            ).collect()
            context.findings.add_rows(
                view,
                lost,
                own[0],
                f"a value of {', '.join(other)} in table {reference.target}",
                f"add the row to {reference.target} or correct the value",
            )
