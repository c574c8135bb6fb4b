"""Question: what does a solve look like? Draws the network with the worth of its capacities, and the convergence.

meio solve configs/quickstart.yaml
python experiments/picture.py --run runs/quickstart --instance instances/quickstart --out docs/images/quickstart.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import polars as pl
import typer
from matplotlib.axes import Axes

from meio_jax.tables import Tables, read_network

mpl.use("Agg")
COLOUR = {"dc": "#1b4965", "fc": "#e07a1f", "same_day": "#2a9d4e"}
NAME = {"dc": "distribution centre", "fc": "fulfilment centre", "same_day": "same-day site"}


def draw_network(axes: Axes, tables: Tables, run: Path) -> None:
    """Regions as grey dots, lanes by the units they carry, nodes by the rent of their capacities."""
    prices = pl.read_parquet(run / "prices.parquet").filter(pl.col("node_id").is_not_null())
    rent = dict(
        prices.with_columns(rent=pl.col("price") * pl.col("capacity")).group_by("node_id").agg(pl.sum("rent")).rows()
    )
    nodes = {row["node_id"]: row for row in tables.nodes.iter_rows(named=True)}
    regions = tables.regions
    axes.scatter(regions["longitude"], regions["latitude"], s=14, c="#c9c9c9", zorder=1, label="region")
    for lane in tables.lanes.iter_rows(named=True):
        start, end = nodes[lane["from_node"]], nodes[lane["to_node"]]
        axes.plot([start["longitude"], end["longitude"]], [start["latitude"], end["latitude"]], c="#b8c4cc", lw=0.8)
    most = max([*rent.values(), 1e-9])
    for kind, colour in COLOUR.items():
        own = [row for row in nodes.values() if row["kind"] == kind]
        size = [60 + 500 * rent.get(row["node_id"], 0) / most for row in own]
        axes.scatter(
            [row["longitude"] for row in own],
            [row["latitude"] for row in own],
            s=size,
            c=colour,
            alpha=0.85,
            zorder=3,
            label=NAME[kind],
        )
    named: list[tuple[float, float]] = []
    for row in sorted(own_rows(nodes, rent), key=lambda row: -rent[row["node_id"]]):
        place = (row["longitude"], row["latitude"])
        if len(named) < 4 and all(abs(place[0] - x) > 4 or abs(place[1] - y) > 1 for x, y in named):
            named.append(place)
            axes.annotate(row["node_id"], place, (6, 10), textcoords="offset points", size=8)
    axes.margins(0.1)
    axes.set_aspect(1.25)
    axes.set(xticks=[], yticks=[], title="What the capacities of each site are worth (size)")
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.legend(handles, labels, loc="lower left", fontsize=8, frameon=False)
    for handle in legend.legend_handles:
        handle.set_sizes([40])


def own_rows(nodes: dict[str, dict], rent: dict[str, float]) -> list[dict]:
    """Nodes that have priced capacities."""
    return [row for name, row in nodes.items() if rent.get(name, 0) > 0]


def draw_convergence(cost: Axes, violation: Axes, run: Path) -> None:
    """Cost, and below it the largest violation and the coupling gap with their tolerances."""
    metrics = pl.read_parquet(run / "metrics.parquet").filter(pl.col("step") > 1)
    cost.plot(metrics["step"], metrics["cost"] / 1000, c="#1b4965")
    cost.set(ylabel="cost (thousand)", title="Convergence")
    for column, colour, label in (
        ("max_violation", "#c1292e", "largest violation"),
        ("gap", "#e07a1f", "coupling gap"),
    ):
        violation.plot(metrics["step"], np.maximum(metrics[column].to_numpy() * 100, 1e-2), c=colour, label=label)
    violation.axhline(0.5, c="#c1292e", lw=0.7, ls=":")
    violation.axhline(1.0, c="#e07a1f", lw=0.7, ls=":")
    violation.set(yscale="log", xlabel="step", ylabel="per cent")
    violation.legend(fontsize=8, frameon=False)
    for axes in (cost, violation):
        axes.spines[["top", "right"]].set_visible(False)


def main(
    run: Annotated[Path, typer.Option(help="finished run folder")],
    instance: Annotated[Path, typer.Option(help="its instance folder")],
    out: Annotated[Path, typer.Option(help="picture to write")],
) -> None:
    """Draw the picture."""
    from matplotlib import pyplot as plt

    tables = read_network(instance)
    figure = plt.figure(figsize=(11, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.5, 1))
    draw_network(figure.add_subplot(grid[:, 0]), tables, run)
    draw_convergence(figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1]), run)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    typer.run(main)
