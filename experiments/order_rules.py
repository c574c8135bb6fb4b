"""Question: what is it worth to plan with the rules of orders, in place of rounding a plan without them afterwards?

    python experiments/order_rules.py --data ../shared/data/us --out experiments/results/order_rules.json

Three instances without capacities: a local and a national one that are generated, and a sample of the items of the US
instance of real data. Each gets a fixed cost of order lines or, by vendor and node, a least order or trucks that cost
and are to be nearly full (`RULES`). Three ways to live with the same rules, in the order-by-order simulator on the same
customers, vendors and starting stock:

* `inside`: planned with the rules: sizes of orders, rhythm and levels; orders that are too small are put off, and
  filled up after a rhythm;
* `afterwards`: planned without them; every order that is too small is filled up to what the vendor takes;
* `refused`: planned without them; orders that are too small are refused, and asked for again on the next day.

A row is an instance, a kind of rules and a way: cost per replication by term (the credit for stock left included), fill
rate, orders and refusals; `saved` is the whole cost of the way less that of `inside`, in percent of what the way pays
for holding, ordering and unmet demand, with a 95 % interval over replications (paired: equal seeds).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import write_rows
from rich.console import Console
from rich.table import Table

import meio_jax as mj
from meio_jax.backtest import Options, Outcome, PlanTable, simulate
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.generate.us.build import build_us_instance
from meio_jax.tables import Tables, read_instance, read_item_block
from meio_jax.tables.mean_demand import mean_demand

PERIODS, BUCKET, WEEK = 56, 28, "mon;tue;wed;thu;fri;sat;sun"
# What rules of orders move: the saving is a share of it, since purchases and shipping are the same under every way.
RELEVANT = ("holding", "ordering", "lost_sale", "backorder")
TERMS = ("holding", "ordering", "lost_sale", "backorder", "purchase", "transfer", "outbound", "terminal")
# Days of demand of a mean item that its economic quantity covers, and of a vendor and node that its least order or
# truck holds.
LINE_DAYS, ORDER_DAYS, TRUCK_DAYS = 7.0, 4.0, 6.0
RULES = ("lines", "least", "trucks")


def generated(shape: str, items: int, folder: Path) -> Tables:
    """A generated instance of a few nodes without capacities."""
    nodes = (0, 1, 0) if shape == "local" else (0, 2, 0)
    options = GenerateOptions(
        shape=shape, items=items, nodes_per_tier=nodes, regions=4, speeds=2, waves=1, periods=PERIODS,
        bucket_periods=BUCKET, vendors=3, resources=(), seed=7,
    )  # fmt: skip
    generate_instance(options, folder / shape)
    return read_instance(folder / shape)


def of_us(data: Path, items: int, folder: Path) -> Tables:
    """Some items of the US instance of real data, without capacities."""
    build_us_instance(data, folder / "us", "small", form="mean", periods=PERIODS)
    names = read_instance(folder / "us").items["item_id"].to_list()
    tables = read_item_block(folder / "us", sorted(names)[:: max(len(names) // items, 1)][:items])
    return tables.replace(resources=tables.resources.clear())


def prepared(tables: Tables) -> Tables:
    """The instance without rules, as it is compared.

    Levels are compared as they are by the simulator: in the evening, after the day's sales. Nodes order every day, in
    single units: the rules take the place of review periods and packs. A calendar that is always open and a line cost
    of nearly nothing let plans with rules and without be computed by the same programs.
    """
    settings = tables.settings.model_copy(update={"ordering": "evening", "bucket_periods": BUCKET})
    vendors = tables.offers["vendor_id"].unique().sort().to_list()
    rows = [{"vendor_id": name, "activity": "orders", "status": "open", "weekdays": WEEK} for name in vendors]
    changed = {
        "offers": tables.offers.with_columns(pack_size=pl.lit(1), min_order=pl.lit(0), order_cost=pl.lit(1e-6)),
        "nodes": tables.nodes.with_columns(review_period=pl.lit(1), review_offset=pl.lit(0)),
        "calendar": pl.DataFrame(rows),
    }
    return Tables.from_frames(settings, **{**tables.frames(), **changed})


def line_cost(tables: Tables) -> float:
    """Fixed cost of a line at which the economic quantity of an offer of mean demand and cost covers `LINE_DAYS`."""
    rates = mean_demand(tables.forecast, tables.settings).join(tables.items, on="item_id")
    offers = tables.offers.join(rates.select("item_id", "units", "holding_cost"), on="item_id")
    cost = offers["holding_cost"] * offers["units"] * LINE_DAYS**2 / 2
    return float(np.mean(cost.to_numpy()))


def with_rules(tables: Tables, kind: str) -> Tables:
    """The instance with rules of a kind."""
    cost = line_cost(tables)
    if kind == "lines":
        return tables.replace(offers=tables.offers.with_columns(order_cost=pl.lit(cost)))
    rates = mean_demand(tables.forecast, tables.settings)
    split = pl.len().over("item_id")
    each = tables.offers.join(rates, on="item_id").join(
        tables.items.select("item_id", "volume_m3", "holding_cost"), on="item_id"
    )
    each = each.with_columns(pl.col("units") / split)
    loads = each.group_by("vendor_id", "node_id").agg(
        (pl.col("units") * pl.col("unit_cost")).sum().alias("value"),
        (pl.col("units") * pl.col("volume_m3")).sum().alias("volume"),
        (pl.col("units") * pl.col("holding_cost")).sum().alias("holding"),
    )
    columns = {
        "least": {"min_order_value": pl.col("value") * ORDER_DAYS},
        "trucks": {
            "truck_volume": pl.col("volume") * TRUCK_DAYS,
            "truck_cost": pl.col("holding") * TRUCK_DAYS**2 / 2,
            "truck_fill": pl.lit(0.9),
        },
    }[kind]
    schema = tables.vendors.schema
    rows = loads.select("vendor_id", "node_id", **columns)
    empty = {"truck_volume": None, "truck_weight": None}
    filled = rows.with_columns(pl.lit(empty.get(name, 0.0)).alias(name) for name in schema if name not in rows.columns)
    vendors = filled.select(pl.col(name).cast(kind_) for name, kind_ in schema.items())
    return Tables.from_frames(tables.settings, **{**tables.frames(), "vendors": vendors})


def planned(tables: Tables, steps: int) -> PlanTable:
    """Levels of a short search, with the sizes and rhythms that the plan has."""
    found = mj.plan(
        tables,
        policy=mj.BaseStock(),
        search=mj.SearchOptions(max_steps=steps, min_steps=steps, slack_items=0, confirm=0),
        scenarios=mj.ScenarioOptions(train=64, per_step=8, holdout=32, clairvoyant=0, unit_values=0),
    ).frames()
    return PlanTable(
        found["plan/targets"], sizes=found.get("plan/order_sizes"), vendors=found.get("plan/vendor_orders")
    )


def row(name: str, kind: str, way: str, lived: Outcome, inside: Outcome) -> dict[str, object]:
    """Cost and service of a way, and what planning with the rules saves."""
    table = lived.replications
    total, ours = (one.replications["total"].to_numpy() for one in (lived, inside))
    paid = float(np.mean(sum(table[name].to_numpy() for name in RELEVANT)))
    saved = 100 * (total - ours) / paid
    half = 1.96 * saved.std(ddof=1) / np.sqrt(len(saved))
    mean = {name: round(float(np.mean(table[name].to_numpy())), 2) for name in ("total", *TERMS)}
    counts = ("order_lines", "vendor_orders", "refused_orders", "postponed_orders", "trucks")
    return {
        "instance": name, "rules": kind, "way": way, **mean,
        "fill_rate": round(float(table["on_time"].sum() / table["demand"].sum()), 4),
        **{name: round(float(np.mean(table[name].to_numpy())), 1) for name in counts},
        "saved": round(float(saved.mean()), 2), "low": round(float(saved.mean() - half), 2),
        "high": round(float(saved.mean() + half), 2),
    }  # fmt: skip


def compared(name: str, plain: Tables, steps: int, replications: int, log: Console) -> list[dict[str, object]]:
    """All kinds of rules on an instance."""
    began = time.perf_counter()
    without = planned(plain, steps)
    log.print(f"{name} without rules: {time.perf_counter() - began:.0f} s")
    rows = []
    for kind in RULES:
        began = time.perf_counter()
        tables = with_rules(plain, kind)
        plan = planned(tables, steps)

        def live(by: PlanTable, small: str, tables: Tables = tables) -> Outcome:
            options = Options.unlimited(rounding="up", small_orders=small)
            return simulate(tables, by, seed=11, replications=replications, options=options)

        inside = live(plan, "fill")
        ways = {"inside": inside, "afterwards": live(without, "fill"), "refused": live(without, "refuse")}
        # Without rules for whole orders nothing is refused or filled up.
        kept = list(ways)[:2] if kind == "lines" else list(ways)
        rows += [row(name, kind, way, ways[way], inside) for way in kept]
        log.print(f"{name} {kind}: {time.perf_counter() - began:.0f} s, saved {rows[-1]['saved']} %")
    return rows


def main(
    out: Annotated[Path, typer.Option()],
    data: Annotated[Path | None, typer.Option()] = None,
    only: Annotated[str, typer.Option()] = "",
    items: Annotated[int, typer.Option()] = 24,
    steps: Annotated[int, typer.Option()] = 80,
    replications: Annotated[int, typer.Option()] = 20,
) -> None:
    """Plan and live every instance, or `--only` one; `--data` is the folder of the real data of the US."""
    log, began, rows = Console(file=sys.stderr), time.perf_counter(), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        instances = {shape: generated(shape, items, folder) for shape in ("local", "national")}
        if data is not None:
            instances["us"] = of_us(data, items, folder)
        for name, tables in ((name, made) for name, made in instances.items() if only in name):
            rows += compared(name, prepared(tables), steps, replications, log)
            write_rows(out, rows, time.perf_counter() - began, items=items, steps=steps, replications=replications)
    table = Table("instance", "rules", "way", "cost", "fill rate", "saved by planning with them, %")
    for one in rows:
        text = f"{one['saved']} [{one['low']}, {one['high']}]"
        table.add_row(*(str(one[key]) for key in ("instance", "rules", "way", "total", "fill_rate")), text)
    log.print(table)


if __name__ == "__main__":
    typer.run(main)
