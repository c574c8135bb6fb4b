"""The tables of docs/other_solvers.md, from the rows of the experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_START, _END = "<!-- {} starts: written by the experiment -->", "<!-- {} ends -->"


def table(columns: dict[str, Callable[[dict], str]], rows: Sequence[dict]) -> str:
    """A table in Markdown: a column for each heading, a line for each row."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(head + ["| " + " | ".join(cell(row) for cell in columns.values()) + " |" for row in rows])


def number(name: str, digits: int) -> Callable[[dict], str]:
    """A column of numbers."""
    return lambda row: f"{row[name]:,.{digits}f}"


def word(name: str) -> Callable[[dict], str]:
    """A column of text."""
    return lambda row: str(row[name])


def met(row: dict) -> str:
    """Whether a row shows what it must."""
    return "yes" if row["met"] else "**no**"


def two_stage(rows: Sequence[dict]) -> str:
    """A summary of each kind of instance, then every instance."""
    parts = []
    for kind in dict.fromkeys(row["family"] for row in rows):
        mine = [row for row in rows if row["family"] == kind]
        parts += [f"**{kind[0].upper() + kind[1:]}.** {_summary(mine)}", _instances(mine)]
    return "\n\n".join(parts)


def _summary(rows: Sequence[dict]) -> str:
    def most(name: str, of: Callable = max) -> float:
        return float(of([row[name] for row in rows]))

    unique = sum(sum(row["unique"]) for row in rows)
    positive = sum(u and d > 0 for row in rows for u, d in zip(row["unique"], row["duals"], strict=True))
    errors = [
        e
        for row in rows
        for u, e, d in zip(row["unique"], row["price_error_pct"], row["duals"], strict=True)
        if u and d > 0
    ]
    return (
        f"{len(rows)} instances, {sum(row['met'] for row in rows)} of them as they must be. Gap: mean "
        f"{np.mean([row['gap_pct'] for row in rows]):.3f} %, largest {most('gap_pct'):.3f} % (allowed "
        f"{rows[0]['tolerance_pct']:g} %), of which fulfilment: mean "
        f"{np.mean([row['fulfilment_pct'] for row in rows]):.3f} %, largest {most('fulfilment_pct'):.3f} %. Of "
        f"{sum(len(row['unique']) for row in rows)} duals {unique} are unique and {positive} of those positive; prices "
        f"differ from these by {np.median(errors):.2f} % of the instance's largest dual in the median, "
        f"{np.quantile(errors, 0.9):.2f} % at the ninth decile, {max(errors):.2f} % at most. Largest difference of the "
        f"clairvoyant bound from the program of a single scenario: {most('clairvoyant_worst_pct'):.1e} %."
    )


def _instances(rows: Sequence[dict]) -> str:
    label = "estimate" if rows[0]["lagrangian_label"] == "estimate" else "bound"
    columns = {
        "instance": word("instance"),
        "exact value at our prices": number("exact_at_prices", 2),
        f"our Lagrangian value ({label})": number("lagrangian", 2),
        "optimum of the program": number("reference", 2),
        "our cost": number("ours", 2),
        "gap %": number("gap_pct", 4),
        "orders %": number("orders_pct", 4),
        "fulfilment %": number("fulfilment_pct", 4),
        "price against dual %": number("worst_price_pct", 2),
        "clairvoyant bound": number("clairvoyant", 2),
        "by program": number("clairvoyant_lp", 2),
        "as it must be": met,
    }
    return table(columns, rows)


def fulfilment(rows: Sequence[dict]) -> str:
    """Regret by network."""
    columns = {
        "network": word("instance"),
        "nodes": word("nodes"),
        "waves": word("waves"),
        "demand of classes that miss units %": number("scarce_pct", 1),
        "cost of the best assignment": number("reference", 1),
        "cost of the rounds": number("ours", 1),
        "regret %": number("regret_pct", 3),
        "regret of outbound cost alone %": number("outbound_regret_pct", 2),
        "worst wave %": number("worst_regret_pct", 2),
    }
    return table(columns, rows)


def simulation(rows: Sequence[dict]) -> str:
    """Both simulations of every system."""
    columns = {
        "system": word("instance"),
        "stockpyl": number("reference", 4),
        "here": number("ours", 4),
        "difference, 95 % interval": lambda row: f"{row['ci95_low']:.4f} to {row['ci95_high']:.4f}",
        "on the same demand, worst %": lambda row: f"{row['same_paths_pct']:.1e}",
        "as it must be": met,
    }
    return table(columns, rows)


def rate(rows: Sequence[dict]) -> str:
    """Slope of the error."""
    columns = {
        "system": word("instance"),
        "slope": number("slope", 4),
        "shuffled scenarios, 99 %": lambda row: f"{row['interval_low']:.4f} to {row['interval_high']:.4f}",
        "as it must be": met,
    }
    return table(columns, rows)


WRITERS: dict[str, Callable[[Sequence[dict]], str]] = {
    "two_stage": two_stage,
    "fulfilment": fulfilment,
    "simulation": simulation,
    "rate": rate,
}


def measured_on(part: dict) -> str:
    """Where and when a part was measured."""
    return (
        f"`{part['command']}`, {part['date']}, {part['processor']}, {part['cores']} cores, device {part['device']}, "
        f"jax {part['jax']}, highspy {part['highspy']}, stockpyl {part['stockpyl']}, commit {part['commit']}."
    )


def write(page: Path, results: dict[str, dict]) -> None:
    """Put the tables of all parts between their marks on a page.

    Raises:
        ValueError: If a mark is missing.
    """
    text = page.read_text(encoding="utf-8")
    for name, part in results.items():
        start, end = _START.format(name), _END.format(name)
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{page}: the marks `{start}` and `{end}` are missing.")
        text = f"{before}{start}\n\n{WRITERS[name](part['rows'])}\n\n{measured_on(part)}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
