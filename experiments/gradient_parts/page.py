"""The tables of docs/gradients.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

START, END = "<!-- table starts: written by the experiment -->", "<!-- table ends -->"


def line(name: str, protection: bool, rows: Sequence[dict]) -> str:
    """One policy in a line, for the terminal."""
    worst = {key: max(row[key] for row in rows) for key in ("modes", "difference", "same_paths", "worst_score")}
    text = "  ".join(f"{key} {value:.2g}" for key, value in worst.items())
    return (
        f"{name:12s} {'protected' if protection else 'plain':10s} {text}  met {sum(r['met'] for r in rows)}/{len(rows)}"
    )


def summary(rows: Sequence[dict]) -> str:
    """How large the standardised differences are as a whole."""
    scores = [one["score"] for row in rows for one in row["parameters"] if not one["idle"]]
    square = sum(score**2 for score in scores) / len(scores)
    return (
        f"{len(rows)} combinations, {sum(row['met'] for row in rows)} of them as they must be; {len(scores)} slopes, "
        f"whose differences from the long simulation are {square**0.5:.2f} standard errors in the root mean square and "
        f"{max(abs(score) for score in scores):.2f} at most."
    )


def table(rows: Sequence[dict]) -> str:
    """A line for every policy, objective and kind of unmet demand."""
    head = [
        "| policy | protection | unmet demand | objective | modes | finite difference | parameters used (idle) |"
        " slope in the shop's target: gradient | long simulation | worst of all parameters, standard errors |"
        " as it must be |",
        "|" + "---|" * 11,
    ]
    return "\n".join(head + [_cells(row) for row in rows])


def _cells(row: dict) -> str:
    shop = next(one for one in row["parameters"] if one["parameter"] == "target[1]")
    cells = [
        row["policy"],
        "yes" if row["protection"] else "no",
        row["unmet"],
        row["objective"],
        f"{row['modes']:.0e}",
        f"{row['difference']:.0e}",
        f"{row['used']} ({row['idle']})",
        f"{shop['gradient']:.4f} ± {1.96 * shop['gradient_error']:.4f}",
        f"{shop['slope']:.4f} ± {1.96 * shop['slope_error']:.4f}",
        f"{row['worst_score']:.2f}",
        "yes" if row["met"] else "**no**",
    ]
    return "| " + " | ".join(cells) + " |"


def write(path: Path, content: dict) -> None:
    """Put summary and table between their marks on a page.

    Raises:
        ValueError: If a mark is missing.
    """
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path}: the marks `{START}` and `{END}` are missing.")
    how = (
        f"`{content['command']}`, {content['date']}, {content['processor']}, device {content['device']}, jax "
        f"{content['jax']}, commit {content['commit']}. Batches of {content['paths']} scenarios: {content['batches']} "
        f"here, {content['long_batches']} in the long simulation."
    )
    middle = "\n\n".join([START, summary(content["rows"]), table(content["rows"]), how, END])
    path.write_text(before + middle + after, encoding="utf-8")
