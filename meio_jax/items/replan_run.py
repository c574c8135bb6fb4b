"""The command `meio replan`: tables of changed items in, their new plan out."""

from __future__ import annotations

from pathlib import Path

from meio_jax.folders import Claim, check_claim, used, written_beside
from meio_jax.items.replan import Replanned, Replanner, ReplanOptions
from meio_jax.runs.folder import made_of
from meio_jax.runs.run import config_of_run, configure_jax
from meio_jax.tables import write_table
from meio_jax.tables.overlay import read_item_tables


def replan_run(
    run: Path, items: Path, out: Path | None, steps: int, instance: Path | None = None
) -> tuple[str, list[str]]:
    """Plan items again and write their tables.

    Args:
        run: Folder of a finished run; nothing in it changes but the folder `out`, if that is inside.
        items: Folder of item tables, or one of them.
        out: Folder to write to; an earlier re-plan of the run in it is replaced. None: `replan` in the run folder.
        steps: Gradient steps of the search.
        instance: Folder of the run's instance, if it has moved.

    Returns:
        What was done, and a line for every price that would move.

    Raises:
        InputError: If the run or the tables cannot be used; then nothing is written.
    """
    configure_jax(config_of_run(run))
    out = run / "replan" if out is None else out
    claim = Claim("replan", "--out", made_of(run, out), flag=False)
    with used(run, "meio replan"):
        check_claim(out, claim)
        found = Replanner(run, instance).replan(read_item_tables(items), ReplanOptions(steps=steps))
        with written_beside(out, claim) as coming:
            _write(found, coming)
    return _text(found, out), found.warnings


def _write(found: Replanned, out: Path) -> None:
    for name, frame in found.frames.items():
        write_table(frame, out / f"{Path(name).name}.parquet")
    write_table(found.items, out / "items.parquet")
    write_table(found.usage, out / "usage.parquet")


def _text(found: Replanned, out: Path) -> str:
    known = found.items.drop_nulls()
    lines = [
        f"Planned {found.items.height} items again at the run's prices in {found.seconds:.1f} s, compilation included.",
        f"Expected cost with capacity charges: {known['cost_after'].sum():,.2f}; "
        f"with the run's levels {known['cost_before'].sum():,.2f}.",
    ]
    new = found.items.height - known.height
    if new:
        cost = float(found.items["cost_after"].sum()) - float(known["cost_after"].sum())
        lines.append(f"{new} items are new to the run; their expected cost is {cost:,.2f}.")
    orders, moves = found.frames["plan/orders"], found.frames["plan/transfers"]
    lines.append(f"{orders.height} purchase orders and {moves.height} transfers to place today. Tables are in {out}.")
    return "\n".join(lines)
