"""The value of a capacity as a person reads it in a terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table

from meio_jax.cli.console import escape
from meio_jax.cli.explain_text import money
from meio_jax.items.whatif import BucketValue, Check, WhatIf


def _amount(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:,.4g}" if size >= 0.01 or size == 0 else f"{value:.1g}"


def _signed(value: float) -> str:
    return "0" if abs(value) < 5e-5 else f"{'+' if value > 0 else '-'}{money(abs(value))}"


def _verb(change: float) -> str:
    return f"{'save' if change < 0 else 'cost'} {money(abs(change))}"


def headline(found: WhatIf) -> str:
    """The answer in words."""
    what = f"{found.resource} ({found.kind}, {found.measure}) {found.asked}"
    over = "the horizon" if len(found.buckets) > 1 else f"bucket {found.buckets[0].bucket}"
    if found.change == 0 and found.beyond_room:
        return (
            f"{what}: the plan uses more than would be left, and that has no price yet, because it was not "
            "scarce. The change costs something; `--resolve` says how much."
        )
    if found.change == 0:
        return f"{what}: nothing gained and nothing lost over {over}; the plan leaves that much of it unused."
    share = abs(found.change) / max(abs(found.cost), 1e-12)
    least = "at most" if found.change < 0 else "at least"
    text = (
        f"{what} would {_verb(found.change)} {found.currency} over {over} by its prices, {share:.3%} of the cost of "
        f"the plan. This is first-order: {least} that much, since each further unit is worth "
        f"{'less' if found.change < 0 else 'more'} than the one before."
    )
    if found.beyond_room:
        names = ", ".join(map(str, found.beyond_room))
        text += f" In bucket {names} the cut goes beyond what is unused and unpriced: there it costs more than nothing."
    return text


def _buckets(found: WhatIf) -> Table:
    title = f"By bucket; capacity in {escape(found.measure)}, change of cost in {escape(found.currency)}"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    after = found.check is not None
    # Both dates and new prices do not fit a terminal of eighty columns.
    columns = ["bucket", *["from"] * (not after), "used", "limit", "new limit", "price"]
    columns += ["new price"] * after + ["change", ""]
    for name in columns:
        table.add_column(name, justify="left" if name in ("from", "") else "right")
    for row, value in enumerate(found.buckets):
        cells = [str(value.bucket), *[value.first_day] * (not after)]
        cells += [_amount(figure) for figure in (value.usage, value.before, value.after, value.price)]
        if found.check is not None:
            cells.append(_amount(found.check.prices_after[row]))
        table.add_row(*cells, _signed(value.change), _says(value))
    table.add_section()
    table.add_row("all", *[""] * (len(columns) - 3), _signed(found.change), "", style="bold")
    return table


def _says(value: BucketValue) -> str:
    if value.price > 0:
        return value.says
    if value.says == "exactly":
        return "exactly"
    free = abs(value.after - value.before) <= value.room
    return "exactly" if free else f"free to {_amount(value.usage)}"


def _checked(found: WhatIf, one: Check) -> list[RenderableType]:
    table = Table(title=f"Checked: solved again, {one.steps} steps each", title_justify="left")
    table.add_column("change of cost")
    table.add_column(escape(found.currency), justify="right")
    table.add_row("foretold by prices before", _signed(found.change))
    table.add_row("foretold by prices before and after (mean)", _signed((one.low + one.high) / 2))
    table.add_row("found, use of capacity counted at its price", _signed(one.lagrangian), style="bold")
    table.add_row("found, cost alone", _signed(one.cost))
    noise = (
        "Both solves start from the run and take the same steps on the same scenarios; one keeps the capacity as it is "
        f"(it ended {_signed(one.drift)} from the run)."
    )
    says = f"Largest violation with the change: {max(one.violation, 0):.2%}; {one.seconds:.0f} s."
    parts: list[RenderableType] = [table, f"[dim]{noise} {says}[/dim]"]
    for row in one.infeasible:
        name = escape(row["resource"])
        parts.append(f"[red]{name}[/red] in bucket {row['bucket']} could not be kept by any plan found.")
    return parts


def whatif_text(found: WhatIf) -> RenderableType:
    """Everything, for a terminal."""
    parts: list[RenderableType] = [escape(headline(found)), "", _buckets(found)]
    if found.check is not None:
        parts += _checked(found, found.check)
    else:
        parts.append("[dim]`--resolve` solves again with the change, and compares.[/dim]")
    return Group(*parts)
