"""From two sides of a trial to rows of results: paired differences with bootstrap intervals over items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from labs_parts.trial import Felt

Table = dict[str, np.ndarray]
Sums = dict[str, np.ndarray]
DRAWS = 4000


def ratio(top: str, bottom: str) -> Callable[[Sums], np.ndarray]:
    """A metric that divides one sum by another."""
    return lambda sums: sums[top] / np.maximum(sums[bottom], 1e-9)


def metrics_of(speeds: list[str]) -> dict[str, Callable[[Sums], np.ndarray]]:
    """Every metric as a function of sums over items."""
    plain = {
        "total_cost": "total",
        "total_cost_landed": "landed",
        "outbound_cost": "outbound",
        "inbound_cost": "inbound",
        "transfer_cost": "transfer",
        "handling_cost": "handling",
        "holding_cost": "holding",
        "lost_sale_cost": "lost_sale",
        "lost_units": "lost",
        "units_delivered": "shipped",
        "stock_units": "stock",
        "stock_position_end": "left",
        "transfer_units": "transferred",
        "waiting_unit_days": "waited",
        "carbon_kg": "carbon_kg",
    }
    out: dict[str, Callable[[Sums], np.ndarray]] = {}
    for name, column in plain.items():
        out[name] = lambda sums, column=column: sums[column]
    out["outbound_cost_per_unit"] = ratio("outbound", "shipped")
    out["km_per_unit"] = ratio("unit_km", "shipped")
    out["fill_rate"] = ratio("on_time", "demand")
    for speed in speeds:
        out[f"promise_kept_{speed}"] = ratio(f"kept_{speed}", f"asked_{speed}")
    for speed in speeds:
        out[f"delivered_share_{speed}"] = ratio(f"sent_{speed}", "shipped")
    fast = speeds[:-1]
    out["fast_promise_share"] = lambda sums: (
        sum(sums[f"kept_{speed}"] for speed in fast) / np.maximum(sum(sums[f"asked_{speed}"] for speed in fast), 1e-9)
    )
    return out


def with_landed(table: Table, freight: np.ndarray) -> Table:
    """Adds total cost with what is left at the end credited at landed cost: freight paid for it counts as well."""
    return table | {"landed": table["total"] - freight * table["left"]}


def item_rows(baseline: Table, ours: Table, speeds: list[str], seed: int) -> list[dict]:
    """A row per metric: sums over items, difference in percent of the baseline, interval by drawing items anew."""
    names = list(baseline)
    stacked = [np.stack([side[name] for name in names]) for side in (baseline, ours)]
    items = stacked[0].shape[1]
    count = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=DRAWS)
    sums = [dict(zip(names, side.sum(1), strict=True)) for side in stacked]
    drawn = [dict(zip(names, side @ count.T, strict=True)) for side in stacked]
    rows = []
    for name, metric in metrics_of(speeds).items():
        base, our = (float(metric(side)) for side in sums)
        spread = _percent(metric(drawn[0]), metric(drawn[1]))
        low, high = np.quantile(spread, [0.025, 0.975])
        rows.append(_row(name, base, our, (float(low), float(high))))
    return rows


def _percent(base: np.ndarray, ours: np.ndarray) -> np.ndarray:
    scale = np.abs(base)
    return np.where(scale > 1e-9, 100 * (ours - base) / np.maximum(scale, 1e-9), 0.0)


def _row(metric: str, base: float, ours: float, interval: tuple[float, float] | None) -> dict:
    known = abs(base) > 1e-9
    low, high = interval if interval and known else (None, None)
    return {
        "metric": metric,
        "baseline": base,
        "ours": ours,
        "difference_pct": 100 * (ours - base) / abs(base) if known else None,
        "ci95_low_pct": low,
        "ci95_high_pct": high,
    }


def violations(felt: Felt) -> pl.DataFrame:
    """By kind, the resource and bucket whose mean use exceeds its capacity most (the plan promises averages).

    Columns `kind, over, error`: excess relative to the capacity, at least 0, and the standard error of that mean.
    The largest of many noisy means is above the largest true one, which is why replications are many.
    """
    mean = felt.usage.group_by("resource_id", "bucket", "kind", maintain_order=True).agg(
        pl.col("usage").mean(), (pl.col("usage").std() / pl.len().sqrt()).alias("error"), pl.col("capacity").first()
    )
    usable = mean.filter(pl.col("capacity").is_finite() & (pl.col("capacity") > 0))
    over = pl.when(pl.col("kind") == "service").then(1 - pl.col("usage") / pl.col("capacity"))
    over = over.otherwise(pl.col("usage") / pl.col("capacity") - 1)
    found = usable.with_columns(over.clip(lower_bound=0).alias("over"), pl.col("error") / pl.col("capacity"))
    worst = found.sort("over", descending=True, maintain_order=True).group_by("kind", maintain_order=True).first()
    return worst.select("kind", "over", "error").sort("kind")


def capacity_rows(baseline: Felt, ours: Felt, suffix: str) -> list[dict]:
    """Capacity violations in percent of the capacity: by kind, of flows and storage, and the largest of all.

    Beside each, as `..._error`, the standard error of the use of the capacity that is violated most.
    """
    sides = [violations(side) for side in (baseline, ours)]
    kinds = sides[0]["kind"].to_list()
    groups = {f"violation_pct_{kind}": [kind] for kind in kinds}
    groups["capacity_violation_pct"] = [kind for kind in kinds if kind != "service"]
    groups["violation_pct_all"] = kinds
    rows = []
    for name, members in groups.items():
        worst = [side.filter(pl.col("kind").is_in(members)).sort("over", descending=True) for side in sides]
        for column, ending in (("over", ""), ("error", "_error")):
            figures = [100 * float(side[column][0]) if side.height else 0.0 for side in worst]
            rows.append(_row(f"{name}{suffix}{ending}", *figures, None))
    return rows


WHOLE: dict[str, Callable[[Sums], np.ndarray]] = {
    "total_cost": lambda sums: sums["total"],
    "outbound_cost": lambda sums: sums["outbound"],
    "outbound_cost_per_unit": ratio("outbound", "shipped"),
    "lost_units": lambda sums: sums["lost"],
    "fill_rate": ratio("on_time", "demand"),
    "fast_promise_share": ratio("kept_fast", "asked_fast"),
}


def whole_rows(baseline: Felt, ours: Felt, seed: int) -> list[dict]:
    """The same metrics where all items follow one plan, in the same worlds; intervals by drawing worlds anew.

    Here no item suffers from what the other plan does to a shared capacity.
    """
    worlds = len(baseline.sums["total"])
    count = np.random.default_rng(seed).multinomial(worlds, np.full(worlds, 1 / worlds), size=DRAWS) / worlds
    mean = [{name: side.sums[name].mean() for name in side.sums} for side in (baseline, ours)]
    drawn = [{name: count @ side.sums[name] for name in side.sums} for side in (baseline, ours)]
    rows = []
    for name, metric in WHOLE.items():
        base, our = (float(metric(side)) for side in mean)
        low, high = np.quantile(_percent(metric(drawn[0]), metric(drawn[1])), [0.025, 0.975])
        rows.append(_row(f"{name}_all_items", base, our, (float(low), float(high))))
    return rows


def price_rows(prices: pl.DataFrame | None, buckets: int) -> list[dict]:
    """Mean and largest price of every kind of capacity; the baselines put no price on it."""
    if prices is None or not prices.height:
        return []
    used = prices.filter(pl.col("bucket") < buckets)
    table = used.group_by("kind").agg(pl.col("price").mean().alias("mean"), pl.col("price").max().alias("max"))
    rows = []
    for kind, mean, most in table.sort("kind").iter_rows():
        rows += [_row(f"price_mean_{kind}", 0.0, mean, None), _row(f"price_max_{kind}", 0.0, most, None)]
    return rows
