"""Question: what does it save that shops help each other out, and how near does it come to one shop for all?

    python experiments/transshipment.py --out experiments/results/transshipment.json

Shops that a vendor supplies in ten days, each with a region of its own, of which the items sell 0.2 to 20 units a day
in all, with a negative binomial demand that is split over the shops by chance. The plan is searched and judged on the
same scenarios in each row:

* `apart`: no lanes between the shops;
* `lanes at c`: a lane of a day from every shop to every other, at so much money a unit;
* `one`: one shop for all regions, which no help between shops can beat by much.

A row is a number of shops and a way: cost on holdout scenarios with its 95 % interval, and of it holding, lost sales
and transfers; units moved between the shops as a share of what is sold.
"""

from __future__ import annotations

import datetime
import time
from itertools import permutations
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from provenance import write_rows

import meio_jax as mj
from meio_jax.tables import InstanceSettings, Tables

DAYS, LEAD, RATES, DISPERSION = 56, 10.0, (0.2, 1.0, 5.0, 20.0), 0.5
COST, PRICE, LOST, HOLD = 10.0, 25.0, 40.0, 0.05


def instance(shops: int, move: float | None, *, one: bool = False) -> Tables:
    """Items of every rate; shops with lanes at a cost (None: without), or one shop for all regions."""
    regions = [f"r{k}" for k in range(shops)]
    nodes = ["n0"] if one else [f"n{k}" for k in range(shops)]
    serves = [(nodes[0 if one else k], region) for k, region in enumerate(regions)]
    items = {f"i{rate:g}": rate for rate in RATES}
    money = {"price": PRICE, "unit_cost": COST, "holding_cost": HOLD, "lost_sale_cost": LOST}
    sizes = {"volume_m3": 1.0, "weight_kg": 1.0, "profile": "p"}
    frames = {
        "items": [{"item_id": name, **sizes, **money} for name in items],
        "nodes": [{"node_id": node, "kind": "fc"} for node in nodes],
        "lanes": []
        if move is None or one
        else [{"from_node": a, "to_node": b, "lead_time": 1, "cost_per_unit": move} for a, b in permutations(nodes, 2)],
        "regions": [{"region_id": region} for region in regions],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": n, "region_id": r, "hours": 1.0, "cost_per_unit": 1.0} for n, r in serves],
        "cutoffs": [{"node_id": node, "speed_id": "s", "cutoff_hour": 24.0} for node in nodes],
        "offers": [
            {"item_id": name, "vendor_id": "v", "node_id": node, "unit_cost": COST, "lead_time_mean": LEAD}
            for name in items
            for node in nodes
        ],
        "shares": [
            {"profile": "p", "region_id": region, "speed_id": "s", "wave": 0, "share": 1 / shops} for region in regions
        ],
        "forecast": [
            {"item_id": name, "period": day, "mean": rate, "dispersion": DISPERSION}
            for name, rate in items.items()
            for day in range(DAYS)
        ],
        "on_hand": [
            {"item_id": name, "node_id": node, "units": round(rate * (LEAD + 3) / len(nodes))}
            for name, rate in items.items()
            for node in nodes
        ],
    }
    settings = InstanceSettings(
        name="shops", start_date=datetime.date(2026, 3, 2), periods=DAYS, bucket_periods=14, wave_ends=[24.0],
        forecast="mean", stationary_targets=True,
    )  # fmt: skip
    tables = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in frames.items() if rows}
    return Tables.from_frames(settings, **tables)


def row(shops: int, way: str, tables: Tables, steps: int) -> dict:
    """Plan the instance and say what it costs."""
    found = mj.plan(
        tables,
        policy=mj.BaseStock(),
        search=mj.SearchOptions(max_steps=steps, min_steps=steps, slack_items=0, confirm=0),
        scenarios=mj.ScenarioOptions(train=128, per_step=16, holdout=256, clairvoyant=0, unit_values=0),
    )
    about, terms = found.certificate, found.certificate.cost_terms
    flows = found.frames()["plan/flows"]
    moved = float(flows.filter(pl.col("kind") == "lane")["units"].sum())
    sold = float(flows.filter(pl.col("kind") == "customer")["units"].sum())
    return {
        "shops": shops,
        "way": way,
        "cost": about.holdout_cost,
        "ci95": list(about.holdout_cost_ci95),
        "holding": terms["holding"],
        "lost_sale": terms["lost_sale"],
        "transfer": terms["transfer"],
        "moved_share": moved / sold,
    }


def main(
    out: Annotated[Path, typer.Option(help="where the rows go")],
    shops: Annotated[str, typer.Option(help="numbers of shops")] = "2",
    steps: Annotated[int, typer.Option(help="steps of each search")] = 120,
) -> None:
    """Measure and write."""
    began, rows = time.perf_counter(), []
    for count in map(int, shops.split(",")):
        ways = {"apart": instance(count, None), "one": instance(count, None, one=True)}
        ways |= {f"lanes at {move:g}": instance(count, move) for move in (0.5, 5.0)}
        for way, tables in ways.items():
            rows.append(row(count, way, tables, steps))
            typer.echo(rows[-1])
    write_rows(out, rows, time.perf_counter() - began)


if __name__ == "__main__":
    typer.run(main)
