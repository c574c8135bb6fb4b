"""From two sides of a trial to rows of results: paired differences with bootstrap intervals over items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from meio_jax.backtest import Outcome

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


def violations(outcomes: list[Outcome]) -> dict[str, float]:
    """Largest relative violation by kind, of the mean usage over replications (the plan promises averages)."""
    usage = pl.concat([outcome.capacity for outcome in outcomes])
    mean = usage.group_by("resource_id", "bucket", "kind", maintain_order=True).agg(
        pl.col("usage").mean(), pl.col("capacity").first()
    )
    over = pl.when(pl.col("kind") == "service").then(1 - pl.col("usage") / pl.col("capacity"))
    over = over.otherwise(pl.col("usage") / pl.col("capacity") - 1)
    usable = mean.filter(pl.col("capacity").is_finite() & (pl.col("capacity") > 0))
    worst = usable.with_columns(over.clip(lower_bound=0).alias("over")).group_by("kind").agg(pl.col("over").max())
    return dict(sorted(worst.iter_rows()))


def capacity_rows(baseline: list[Outcome], ours: list[Outcome], suffix: str) -> list[dict]:
    """Capacity violations in percent of the capacity: by kind, of flows and storage, and the largest of all."""
    base, our = violations(baseline), violations(ours)
    rows = [_row(f"violation_pct_{kind}{suffix}", 100 * base[kind], 100 * our[kind], None) for kind in base]
    physical = [kind for kind in base if kind != "service"]
    for name, kinds in (("capacity_violation_pct", physical), ("violation_pct_all", list(base))):
        worst = [100 * max((side[kind] for kind in kinds), default=0.0) for side in (base, our)]
        rows.append(_row(f"{name}{suffix}", worst[0], worst[1], None))
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
