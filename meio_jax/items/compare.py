"""What differs between the plans of two runs: orders, targets, prices, service and cost, priced."""

from __future__ import annotations

import datetime

import polars as pl

from meio_jax.runs.data import RunData

ORDER_KEYS = ["item_id", "vendor_id", "node_id"]


def compared(a: RunData, b: RunData) -> dict[str, pl.DataFrame]:
    """All tables of differences by name; every figure of A ends in `_a`, of B in `_b`, and changes are B less A.

    Args:
        a: The earlier run.
        b: The later run.
    """
    return {
        "orders": _orders(a, b),
        "transfers": _transfers(a, b),
        "targets": _targets(a, b),
        "prices": _prices(a, b),
        "service": _service(a, b),
        "cost": _cost(a, b),
    }


def _both(a: pl.DataFrame, b: pl.DataFrame, keys: list[str], values: list[str]) -> pl.DataFrame:
    """Rows of either side, with the figures of both (0 where a side has no such row)."""
    sides = [frame.group_by(keys).agg(pl.col(values).sum()) for frame in (a, b)]
    joined = sides[0].join(sides[1], on=keys, how="full", coalesce=True, suffix="_b", nulls_equal=True)
    joined = joined.rename({name: f"{name}_a" for name in values})
    return joined.with_columns(pl.col(f"{name}_{side}").fill_null(0) for name in values for side in "ab")


def _orders(a: RunData, b: RunData) -> pl.DataFrame:
    found = _both(a.table("plan/orders"), b.table("plan/orders"), ORDER_KEYS, ["units", "cost"])
    found = found.with_columns(
        units_change=pl.col("units_b") - pl.col("units_a"), cost_change=pl.col("cost_b") - pl.col("cost_a")
    )
    changed = found.filter((pl.col("units_change") != 0) | (pl.col("cost_change").abs() > 1e-6))
    return changed.sort(pl.col("cost_change").abs(), *ORDER_KEYS, descending=[True, False, False, False])


def _transfers(a: RunData, b: RunData) -> pl.DataFrame:
    keys = ["item_id", "from_node", "to_node"]
    found = _both(a.table("plan/transfers"), b.table("plan/transfers"), keys, ["units"])
    found = found.with_columns(units_change=pl.col("units_b") - pl.col("units_a")).filter(pl.col("units_change") != 0)
    return found.sort(pl.col("units_change").abs(), *keys, descending=[True, False, False, False])


def _days(data: RunData) -> pl.DataFrame:
    """Bucket of every day of the horizon."""
    settings = data.network.settings
    rows = [(settings.date_of(at), at // settings.bucket_periods) for at in range(settings.periods)]
    return pl.DataFrame(rows, schema={"day": pl.Date, "bucket": pl.Int64}, orient="row")


def _shared_buckets(a: RunData, b: RunData) -> pl.DataFrame:
    """Pairs of buckets of the two runs that share days, with the first of these days and the share of B's bucket."""
    both = (
        _days(b).join(_days(a), on="day", suffix="_a").group_by("bucket", "bucket_a").agg(pl.len(), pl.col("day").min())
    )
    whole = pl.col("len").sum().over("bucket")
    return both.select("bucket", "bucket_a", share=pl.col("len") / whole, first=pl.col("day").min().over("bucket"))


def _by_day(a: pl.DataFrame, pairs: pl.DataFrame, keys: list[str], value: str) -> pl.DataFrame:
    """Figures of A by the buckets of B, weighted by the days that they share."""
    at = a.select(*keys, value, pl.col("bucket").cast(pl.Int64).alias("bucket_a"))
    weighed = at.join(pairs, on="bucket_a").with_columns(pl.col(value) * pl.col("share"))
    return weighed.group_by(*keys, "bucket").agg(pl.col(value).sum())


def _with_a(a: pl.DataFrame, b: pl.DataFrame, pairs: pl.DataFrame, keys: list[str], value: str) -> pl.DataFrame:
    """Rows of B in the days that both runs have, with the figure of A on those days."""
    later = b.with_columns(pl.col("bucket").cast(pl.Int64)).rename({value: f"{value}_b"})
    first = pairs.group_by("bucket").agg(pl.col("first").min())
    earlier = _by_day(a, pairs, keys, value).rename({value: f"{value}_a"})
    found = later.join(first, on="bucket").join(earlier, on=[*keys, "bucket"], how="left")
    return found.with_columns(pl.col(f"{value}_a").fill_null(0.0))


def _targets(a: RunData, b: RunData) -> pl.DataFrame:
    """Changes of levels of half a unit and more, valued at replacement cost."""
    keys = ["item_id", "node_id"]
    earlier, later = (run.table("plan/targets").select(*keys, "bucket", "target") for run in (a, b))
    found = _with_a(earlier, later, _shared_buckets(a, b), keys, "target")
    change = pl.col("target_b") - pl.col("target_a")
    found = found.join(b.items.select("item_id", "unit_cost"), on="item_id", how="left")
    found = found.with_columns(change=change, value=change * pl.col("unit_cost")).drop("unit_cost")
    return found.filter(pl.col("change").abs() >= 0.5).sort(
        pl.col("value").abs(), *keys, "bucket", descending=[True, False, False, False]
    )


def _prices(a: RunData, b: RunData) -> pl.DataFrame:
    """Changed prices; `rent_change` is the change of price times what B uses, a day."""
    sides = (a.table("prices").select("resource_id", "bucket", "price"), b.table("prices"))
    later = sides[1].select("resource_id", "kind", "bucket", "price", "usage", "capacity")
    found = _with_a(sides[0], later, _shared_buckets(a, b), ["resource_id"], "price")
    found = found.with_columns(change=pl.col("price_b") - pl.col("price_a"))
    found = found.with_columns(rent_change=pl.col("change") * pl.col("usage")).filter(pl.col("change") != 0)
    return found.sort(pl.col("rent_change").abs(), "resource_id", "bucket", descending=[True, False, False])


def _service(a: RunData, b: RunData) -> pl.DataFrame:
    """Share of demand delivered as promised, by speed; empty where a run does not record it."""
    parts = []
    for run in (a, b):
        table = run.optional("plan/service")
        if table is None:
            return pl.DataFrame(schema={"speed_id": pl.String, "promised_a": pl.Float64, "promised_b": pl.Float64})
        sums = table.group_by("speed_id").agg(pl.col("promised", "wanted").sum())
        parts.append(sums.select("speed_id", share=pl.col("promised") / pl.col("wanted")))
    found = (
        parts[0]
        .rename({"share": "promised_a"})
        .join(parts[1].rename({"share": "promised_b"}), on="speed_id", how="full", coalesce=True)
    )
    return found.with_columns(change=pl.col("promised_b") - pl.col("promised_a")).sort("speed_id")


def _cost(a: RunData, b: RunData) -> pl.DataFrame:
    """Expected cost by term, and in all."""
    names = dict.fromkeys([*a.certificate["cost_terms"], *b.certificate["cost_terms"]])
    rows = [(name, *(run.certificate["cost_terms"].get(name, 0.0) or 0.0 for run in (a, b))) for name in names]
    rows.append(("total", *(float(run.certificate["holdout_cost"] or 0.0) for run in (a, b))))
    frame = pl.DataFrame(rows, schema={"term": pl.String, "cost_a": pl.Float64, "cost_b": pl.Float64}, orient="row")
    return frame.with_columns(change=pl.col("cost_b") - pl.col("cost_a"))


def days_between(a: RunData, b: RunData) -> int:
    """Periods from the first day of A to that of B."""
    first: datetime.date = b.network.settings.start_date
    return int(a.network.settings.periods_of(pl.Series([first]).to_numpy())[0])
