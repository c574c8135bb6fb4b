"""What a capacity is worth: the change of cost that its prices foretell, and a re-solve that checks it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from meio_jax.certify.certificate import Certificate
from meio_jax.config.settings import Config
from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.instance.item_sources import FolderSource, OtherCapacities
from meio_jax.planner.certifying import certify
from meio_jax.planner.model import Model
from meio_jax.planner.searching import search
from meio_jax.planner.streaming import count_stream
from meio_jax.plans.tables import prices_frame
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.runs.data import RunData, read_run
from meio_jax.runs.run import config_of_run, configure_jax, warm_config
from meio_jax.runs.saved_run import read_saved_run
from meio_jax.runs.warm import WarmStart, warm_model, warm_stream
from meio_jax.solver.file_store import PartFiles
from meio_jax.solver.solve import State
from meio_jax.tables import read_instance
from meio_jax.tables.measures import unit_words
from meio_jax.tables.nearest import nearest
from meio_jax.tables.schema import FLOOR_KINDS

_COMMAND = "meio whatif"
_LISTED = 12


@dataclass(frozen=True)
class CapacityChange:
    """A change of a capacity: `how` is "factor" (times `amount`), "add" (of `amount`) or "set" (to `amount`)."""

    how: str
    amount: float

    @classmethod
    def parse(cls, text: str) -> CapacityChange:
        """Read `+10%`, `-10%`, `+25`, `-25` (more or less, in the unit of the table) or `120` (the new capacity).

        Raises:
            InputError: If the text is none of these.
        """
        words = text.strip().replace(" ", "")
        share, signed = words.endswith("%"), words[:1] in ("+", "-")
        try:
            number = float(words.removesuffix("%"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or (share and (not signed or number < -100)):
            expected = "a change such as +10%, -10%, +25 or -25, or the new capacity such as 120"
            raise InputError([Problem(_COMMAND, "", "--capacity", text, expected, "correct the option")])
        if share:
            return cls("factor", 1 + number / 100)
        return cls("add" if signed else "set", number)

    def __call__(self, capacity: float) -> float:
        """The changed capacity."""
        if self.how == "set":
            return self.amount
        return capacity * self.amount if self.how == "factor" else capacity + self.amount


@dataclass(frozen=True)
class BucketValue:
    """A bucket of the resource; capacity and usage in the unit of the resources table, money over the bucket.

    `change` is the change of cost to first order (negative: saves). `room` is what the plan leaves unused of the
    capacity (of a service floor: what it serves beyond it). `says` is what the price tells about the true change:
    "at most" that much is saved, "at least" that much is lost, or "exactly" (nothing: the capacity binds in neither).
    """

    bucket: int
    first_day: str
    days: int
    price: float
    usage: float
    room: float
    before: float
    after: float
    change: float
    says: str


@dataclass(frozen=True)
class Check:
    """What re-solving found. Both solves start from the run and take the same steps; one keeps the capacity.

    `cost` is the change of the objective on holdout scenarios; `lagrangian` adds, at each solve's own prices, what
    the plan uses above and below capacity, so it does not reward a plan for using more than it may. `drift` is how far
    the solve that keeps the capacity moved from the run, which is why both are solved again. `prices_after` are by
    bucket; with prices before and after, convexity puts the change between `low` and `high`.
    """

    cost: float
    lagrangian: float
    drift: float
    low: float
    high: float
    prices_after: list[float]
    violation: float
    result: str
    infeasible: list[dict]
    steps: int
    seconds: float


@dataclass(frozen=True)
class WhatIf:
    """What a change of a capacity does to the cost: `change` is its first-order value, over the whole horizon."""

    resource: str
    kind: str
    measure: str
    currency: str
    asked: str
    cost: float
    change: float
    beyond_room: list[int]
    buckets: list[BucketValue]
    check: Check | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def _unit(row: dict[str, Any], period: str) -> str:
    if row["kind"] in FLOOR_KINDS:
        return {"service": "share of demand", "in_stock": "share of items, nodes and days"}[row["kind"]]
    measure = unit_words(row["measure"])
    if row["kind"] == "spend":
        return "money"
    return f"{measure} on an average {period}" if row["kind"] == "storage" else f"{measure} a {period}"


def _chosen(prices: pl.DataFrame, resource: str, buckets: list[int] | None, run: Path) -> pl.DataFrame:
    """Rows of the resource in the wanted buckets."""
    known = prices["resource_id"].unique(maintain_order=True).to_list()
    if resource not in known:
        alike = nearest(resource, known)
        close = [name for name in known if resource.lower() in name.lower()] or ([alike] if alike else known)
        expected = "a resource that this run has prices for"
        remedy = f"choose one of {', '.join(close[:_LISTED])}" if known else "its instance limits nothing"
        raise InputError([Problem(str(run / "prices.parquet"), "", "--resource", resource, expected, remedy)])
    rows = prices.filter(pl.col("resource_id") == resource).sort("bucket")
    if buckets is None:
        return rows
    limited = rows["bucket"].to_list()
    missing = [bucket for bucket in dict.fromkeys(buckets) if bucket not in limited]
    if missing:
        expected = f"a bucket that {resource} limits"
        remedy = f"choose from {', '.join(map(str, limited))}"
        raise InputError([Problem(_COMMAND, "", "--bucket", bucket, expected, remedy) for bucket in missing])
    return rows.filter(pl.col("bucket").is_in(buckets))


def _wanted(data: RunData, row: dict[str, Any]) -> float:
    """What the share of a floor refers to, in its bucket."""
    if row.get("scope") is not None:
        return float(row["scope"])
    service = data.optional("plan/service")
    if service is None:
        expected = "the table of service by region, from which the value of a service floor follows"
        raise InputError([Problem(str(data.folder / "plan/service.parquet"), "", "", None, expected, "solve anew")])
    scope = {name: row[name] for name in ("region_group", "speed_id") if row[name] is not None}
    return float(service.filter(bucket=row["bucket"], **scope)["wanted"].sum())


def _value(data: RunData, row: dict[str, Any], change: CapacityChange) -> BucketValue:
    """First-order value of the change in one bucket (envelope theorem: the price is minus the slope of the cost)."""
    kind, price, before = row["kind"], float(row["price"]), float(row["capacity"])
    after, floor = change(before), kind in FLOOR_KINDS
    if not 0 <= after <= (1 if floor else math.inf):
        expected = "a share from 0 to 1" if floor else "a capacity of zero or more"
        remedy = f"the capacity is {before:.6g} now"
        raise InputError([Problem(_COMMAND, f"bucket {row['bucket']}", "--capacity", after, expected, remedy)])
    _, days = data.buckets[row["bucket"]]
    settings = data.network.settings
    first = settings.date_of(max(row["bucket"] * settings.bucket_periods, settings.warmup_periods))
    size = _wanted(data, row) if floor else 1.0 if kind == "spend" else float(days)
    tighter = after > before if floor else after < before
    usage = float(row["usage"])
    money = price * abs(after - before) * size
    says = "at least" if tighter else "at most" if price > 0 else "exactly"
    return BucketValue(
        bucket=row["bucket"],
        first_day=first.isoformat(),
        days=days,
        price=price,
        usage=usage,
        room=max(usage - before if floor else before - usage, 0.0),
        before=before,
        after=after,
        change=money if tighter else -money,
        says=says,
    )


def _beyond(one: BucketValue) -> bool:
    """Whether an unpriced capacity is cut into what the plan uses: there a price of zero says nothing."""
    return one.says == "at least" and one.price <= 0 and abs(one.after - one.before) > one.room


def what_if(data: RunData, resource: str, asked: str, buckets: list[int] | None = None) -> WhatIf:
    """The value of a change of capacity at the prices of a run.

    Args:
        data: A finished run.
        resource: Which capacity.
        asked: The change, see `CapacityChange.parse`.
        buckets: In which buckets; None: in all that it limits.

    Raises:
        InputError: If the resource, the change or a bucket cannot be used.
    """
    change = CapacityChange.parse(asked)
    if data.certificate["holdout_objective"] is None:
        found, remedy = Note("a run whose cost is not a number"), "mend what its message says, and solve anew"
        raise Refusal(Problem(str(data.folder), "", "", found, "a run with prices", remedy))
    rows = _chosen(data.table("prices"), resource, buckets, data.folder).to_dicts()
    values = [_value(data, row, change) for row in rows]
    return WhatIf(
        resource=resource,
        kind=rows[0]["kind"],
        measure=_unit(rows[0], data.period),
        currency=data.currency,
        asked=asked,
        cost=float(data.certificate["holdout_objective"]),
        change=sum(value.change for value in values),
        beyond_room=[value.bucket for value in values if _beyond(value)],
        buckets=values,
    )


def changed_resources(resources: pl.DataFrame, resource: str, after: dict[int, float], buckets: int) -> pl.DataFrame:
    """The table of resources with other capacities of one of them.

    Args:
        resources: The table; a row without a bucket holds for all that have no row of their own.
        resource: Which resource.
        after: New capacity by bucket.
        buckets: Number of buckets of the horizon.
    """
    own = resources.filter(pl.col("resource_id") == resource).to_dicts()
    general = next((row for row in own if row["bucket"] is None), None)
    by_bucket = {row["bucket"]: row for row in own if row["bucket"] is not None}
    rows = []
    for bucket in range(buckets):
        row = by_bucket.get(bucket, general)
        if row is not None:
            rows.append({**row, "bucket": bucket, "capacity": after.get(bucket, row["capacity"])})
    # In its place: the order of resources is that of the arrays.
    parts, placed = [], False
    for row in resources.to_dicts():
        if row["resource_id"] != resource:
            parts.append(row)
        elif not placed:
            parts, placed = parts + rows, True
    return pl.DataFrame(parts, schema=resources.schema)


def _resolved(
    data: RunData, config: Config, resources: pl.DataFrame, progress: AbstractProgress
) -> tuple[Certificate, pl.DataFrame]:
    """Solve from the run with these capacities: certificate and prices."""
    with _warm(data, config, resources, progress) as (model, state):
        solution = search(model, state, progress=progress)
        # The parts of a plan are not wanted: its certificate and prices are.
        plan = certify(model, solution, progress=progress, receive=lambda part: None)
    return plan.certificate, prices_frame(model.instance, np.asarray(solution.prices), plan.holdout, solution.usual)


@contextlib.contextmanager
def _warm(
    data: RunData, config: Config, resources: pl.DataFrame, progress: AbstractProgress
) -> Iterator[tuple[Model, State]]:
    """The run's catalog with these capacities, in memory or in parts as the run had it, and the run's state."""
    if "streamed" not in data.identity:
        tables = read_instance(data.instance).replace(resources=resources)
        earlier = read_saved_run(data.folder, tables.items["item_id"].to_list())
        yield warm_model(tables, config, earlier)[:2]
        return
    source = OtherCapacities(FolderSource(data.instance, config.stream.part_items), resources)
    folder = TemporaryDirectory(dir=config.stream.scratch)
    with folder as scratch, contextlib.closing(PartFiles(Path(scratch))) as files:
        counted = count_stream(source, config, files, progress=progress)
        yield warm_stream(counted, files, WarmStart(read_saved_run(data.folder, [])), progress)


def resolve_config(config: Config, steps: int | None) -> Config:
    """Settings of a re-solve: those of a warm start, but all of its steps, so that solves can be compared."""
    warm = warm_config(config)
    count = warm.solve.max_steps if steps is None else steps
    solve = warm.solve.model_copy(update={"max_steps": count, "min_steps": count, "confirm": False})
    scenarios = warm.scenarios.model_copy(update={"clairvoyant": 0})
    return warm.model_copy(update={"solve": solve, "scenarios": scenarios})


def check(data: RunData, found: WhatIf, config: Config, progress: AbstractProgress | None = None) -> WhatIf:
    """Solve again from the run, with the capacity as it is and as it would be, on the same scenarios.

    Args:
        data: A finished run with a checkpoint.
        found: The value at its prices.
        config: Settings of both solves, see `resolve_config`.
        progress: Where to report.
    """
    progress = Silent() if progress is None else progress
    now = data.network.resources
    after = {value.bucket: value.after for value in found.buckets}
    progress.stage("solving again with the capacity as it is")
    before, _ = _resolved(data, config, now, progress)
    progress.stage(f"solving again with {found.resource} changed")
    changed = changed_resources(now, found.resource, after, len(data.buckets))
    there, prices = _resolved(data, config, changed, progress)
    rows = prices.filter(pl.col("resource_id") == found.resource)
    by_bucket = dict(zip(rows["bucket"].to_list(), rows["price"].to_list(), strict=True))
    later = [float(by_bucket[value.bucket]) for value in found.buckets]
    # Where a capacity has no price the change foretold is zero, and so is its part at the new price per unit of change.
    sizes = [_size(data, found, value) for value in found.buckets]
    at_new = sum(size * price for size, price in zip(sizes, later, strict=True))
    outcome = Check(
        cost=there.holdout_objective - before.holdout_objective,
        lagrangian=there.lagrangian - before.lagrangian,
        drift=before.lagrangian - float(data.certificate["lagrangian"]),
        low=min(found.change, at_new),
        high=max(found.change, at_new),
        prices_after=later,
        violation=there.largest_violation,
        result=there.result,
        infeasible=there.infeasible,
        steps=there.steps,
        seconds=before.seconds + there.seconds,
    )
    return replace(found, check=outcome)


def _size(data: RunData, found: WhatIf, value: BucketValue) -> float:
    """Change of the capacity as a total over the bucket, positive where it makes the plan harder."""
    step = value.before - value.after
    if found.kind in FLOOR_KINDS:
        row = data.table("prices").filter(resource_id=found.resource, bucket=value.bucket).to_dicts()[0]
        return -step * _wanted(data, row)
    return step * (1 if found.kind == "spend" else value.days)


def whatif_run(
    run: Path,
    resource: str,
    capacity: str,
    buckets: list[int] | None = None,
    *,
    instance: Path | None = None,
    resolve: bool = False,
    steps: int | None = None,
    progress: AbstractProgress | None = None,
) -> WhatIf:
    """What another capacity would do to the cost of a run.

    Args:
        run: Folder of a finished run.
        resource: Which capacity.
        capacity: The change: `+10%`, `-10%`, `+25`, `-25`, or the new capacity in the unit of the resources table.
        buckets: In which buckets; None: all that the resource limits.
        instance: The instance folder, if it has moved.
        resolve: Solve again with the changed capacity and compare; nothing is written.
        steps: Steps of each re-solve; None: as the run's `warm.max_steps`.
        progress: Where to report.

    Returns:
        The change of cost that prices promise, in money over the horizon, by bucket, with the range in which they
        hold; and what the re-solves found, where there were any.

    Raises:
        InputError: If the run, the resource, the change or a bucket cannot be used.

    Example:
        >>> found = whatif_run(Path("runs/quickstart"), "storage_FC01", "-10%")
        >>> found.resource
        'storage_FC01'
    """
    data = read_run(run, instance)
    progress = Silent() if progress is None else progress
    for note in data.notes:
        progress.warning(note)
    found = what_if(data, resource, capacity, buckets)
    if not resolve:
        return found
    config = config_of_run(run)
    configure_jax(config)
    return check(data, found, resolve_config(config, steps), progress)
