"""Question: how does the planner, planning anew every period, do in a public multi-echelon environment?

    python experiments/peers_closed_loop.py --out experiments/results/peers_closed_loop.json

The suite gym-invmgmt (Barati and Hu 2026, arXiv 2605.11355; the networks are those of OR-Gym, Perez et al. 2021): a
serial and a divergent network of one product over 30 periods, 22 scenarios of demand, goodwill and unmet demand, ten
seeds each, with published profits of an oracle and 28 agents. Its dynamics are written anew from their description
(`peers_parts/`); seeds give the same demand as there, which the oracle's published profits confirm seed by seed.

Our planner knows what informed agents know: the mean of demand in every period to come, at today's goodwill. Every
period all episodes of a network are planned as items of one instance, warm from the period before, and the purchase
orders and transfers that the plan issues are done. The suite cuts what exceeds a factory's capacity.

Writes {"command", "date", "seconds", "environment", "rows", "mean"}: by scenario our mean profit over the seeds, half
of its 95 % interval, the seconds of the network, and the published means.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from peers_parts.agent import Effort, Planner
from peers_parts.demand import PERIODS
from peers_parts.networks import NETWORKS
from peers_parts.published import ORACLE, SEEDS, published, scenarios
from peers_parts.world import Setting, World
from provenance import write_rows
from rich.console import Console
from rich.table import Table

OURS = "meio-jax"
# Where a site has several sources their shares are decided as well.
POLICIES = {"serial": "base_stock", "divergent": "shares"}
_SHOWN = (ORACLE, "MSSP-I", "MSSP", "PPO-Transformer", "EchelonApprox-I", "Newsvendor-I")


def live(settings: dict[str, Setting], seeds: tuple[int, ...], policy: str, effort: Effort) -> dict[str, np.ndarray]:
    """Profit of every seed by scenario, all scenarios being of one network."""
    worlds = {f"{name} | {seed}": World(setting, seed) for name, setting in settings.items() for seed in seeds}
    planner = Planner(next(iter(settings.values())).network, policy, effort)
    for period in range(PERIODS):
        started = time.perf_counter()
        wanted = planner.decide(worlds)
        for name, world in worlds.items():
            world.step(wanted[name])
        typer.echo(f"period {period + 1} of {PERIODS}: {time.perf_counter() - started:.1f} s", err=True)
    return {name: np.array([float(worlds[f"{name} | {seed}"].profit.sum()) for seed in seeds]) for name in settings}


def rows_of(names: list[str], seeds: tuple[int, ...], effort: Effort) -> Iterator[dict]:
    """A row for every scenario of the networks."""
    known = published()
    for network in names:
        started = time.perf_counter()
        own = {name: one for name, one in scenarios().items() if one.network.name == network}
        profits = live(own, seeds, POLICIES[network], effort)
        seconds = round(time.perf_counter() - started, 1)
        for name, values in profits.items():
            half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            yield {
                "scenario": name,
                "policy": POLICIES[network],
                "seeds": len(values),
                OURS: round(float(values.mean()), 2),
                "half_width": round(float(half), 2),
                "by_seed": [round(float(value), 1) for value in values],
                "network_seconds": seconds,
                "published": known[name],
            }


def mean_gaps(rows: list[dict]) -> dict[str, float]:
    """Mean over scenarios of 1 - profit / oracle's profit, in percent, of ours and of every published agent."""
    gap = lambda profit, row: 100 * (1 - profit / row["published"][ORACLE])
    found = {OURS: float(np.mean([gap(row[OURS], row) for row in rows]))}
    for agent in rows[0]["published"]:
        found[agent] = float(np.mean([gap(row["published"][agent], row) for row in rows]))
    return {agent: round(value, 2) for agent, value in found.items()}


def show(rows: list[dict]) -> None:
    """Print profits and mean gaps."""
    table = Table("scenario", OURS, "± 95 %", *_SHOWN, title="mean profit of an episode")
    for row in rows:
        theirs = [f"{row['published'][agent]:.0f}" for agent in _SHOWN]
        table.add_row(row["scenario"], f"{row[OURS]:.0f}", f"{row['half_width']:.0f}", *theirs)
    console = Console(width=140)
    console.print(table)
    console.print("mean gap to the oracle, %: " + ", ".join(f"{k} {v:.1f}" for k, v in mean_gaps(rows).items()))


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    network: Annotated[list[str] | None, typer.Option(help="serial or divergent; may be repeated")] = None,
    seeds: Annotated[int, typer.Option(help="how many of the ten seeds", min=1, max=len(SEEDS))] = len(SEEDS),
    first: Annotated[int, typer.Option(help="steps of the first plan", min=1)] = Effort.first,
    later: Annotated[int, typer.Option(help="steps of every later plan", min=1)] = Effort.later,
) -> None:
    """Play all scenarios, print the table, write JSON. Exit status 2 if a network is not known."""
    names = network or list(NETWORKS)
    if unknown := sorted(set(names) - set(NETWORKS)):
        typer.echo(f"--network {unknown[0]}: unknown; choose one of {', '.join(NETWORKS)}", err=True)
        raise typer.Exit(2)
    started = time.perf_counter()
    rows: list[dict] = []
    for row in rows_of(names, SEEDS[:seeds], Effort(first=first, later=later)):
        rows.append(row)
        write_rows(out, rows, time.perf_counter() - started, mean=mean_gaps(rows))
    show(rows)


if __name__ == "__main__":
    typer.run(main)
