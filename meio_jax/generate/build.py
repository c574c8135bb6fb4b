"""Writing a synthetic instance, a part of the items at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.folders import Claim, check_claim, held, written_beside
from meio_jax.generate.capacity import Need, accumulate_need, by_bucket, resources_table
from meio_jax.generate.demand import forecast_table, mean_demand
from meio_jax.generate.files import write_frame, write_text
from meio_jax.generate.items import ITEM_BLOCK, Items, draw_items, item_ids, stream
from meio_jax.generate.network_tables import describe, items_table, network_tables
from meio_jax.generate.options import GenerateOptions
from meio_jax.generate.shares import Profiles, make_profiles, shares_table
from meio_jax.generate.stock import due_by_bucket, plan_stock, starting_stock, stock_tables
from meio_jax.generate.supply import Network, make_network
from meio_jax.generate.vendors import Vendors, lead_times_table, make_vendors, offers_table

ITEM_TABLES = ("items", "offers", "forecast", "on_hand", "on_order")
Progress = Callable[[int, int], None]


def generate_instance(
    options: GenerateOptions, folder: Path, progress: Progress | None = None, *, overwrite: bool = False
) -> Path:
    """Write a synthetic instance to `folder`, which is made if missing.

    Args:
        options: what to generate.
        folder: where to.
        progress: called with (items done, items in all) after each part.
        overwrite: replace an instance that was generated there before, once this one is whole.

    Returns:
        The folder.

    Raises:
        Refusal: If the folder holds anything that may not be replaced; then nothing is written.

    Example:
        >>> from meio_jax.generate import GenerateOptions, generate_instance
        >>> from meio_jax.tables import read_instance
        >>> folder = generate_instance(GenerateOptions(items=5, nodes_per_tier=(1, 2, 1), periods=14), Path("made"))
        >>> read_instance(folder).items.height
        5
    """
    folder = Path(folder)
    claim = Claim("instance", "", overwrite=overwrite)
    check_claim(folder, claim)
    with held(folder, "meio generate"), written_beside(folder, claim) as coming:
        _write(options, coming, progress)
    return folder


def _write(options: GenerateOptions, folder: Path, progress: Progress | None) -> None:
    network, profiles, vendors = plan_network(options)
    need = Need.empty(len(profiles.name), options.buckets, len(vendors.vendor_id), len(network.node_id))
    parts = -(-options.items // options.partition_items)
    for part in range(parts):
        low = part * options.partition_items
        high = min(low + options.partition_items, options.items)
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in ITEM_TABLES}
        for items, first in item_pieces(options, profiles, low, high):
            for name, frame in item_frames(options, network, profiles, vendors, items, first).items():
                frames[name].append(frame)
            add_need(options, network, profiles, vendors, items, first, need)
        for name in ITEM_TABLES:
            write_frame(folder, name, pl.concat(frames.pop(name)), part if parts > 1 else None)
        if progress is not None:
            progress(high, options.items)
    tables = network_tables(network)
    tables["shares"] = shares_table(network, profiles)
    tables["lead_times"] = lead_times_table(vendors)
    tables["resources"] = resources_table(
        network, profiles, need, vendors.vendor_id, kinds=options.resources, tightness=options.tightness,
        horizon=(options.periods, options.bucket_periods),
    )  # fmt: skip
    for name, frame in tables.items():
        if frame.height or name not in ("resources", "lanes", "lead_times"):
            write_frame(folder, name, frame)
    write_text(folder / "instance.yaml", describe(
        name=f"synthetic {options.shape} {options.items} items, seed {options.seed}",
        start_date=options.start_date, periods=options.periods, bucket_periods=options.bucket_periods,
        wave_ends=network.wave_ends,
        forecast=options.forecast,
    ))  # fmt: skip


def plan_network(options: GenerateOptions) -> tuple[Network, Profiles, Vendors]:
    """Everything that does not grow with the number of items."""
    network = make_network(options)
    chilled = max(1, options.profiles // 6)
    profiles = make_profiles(network, options.profiles, chilled, np.random.default_rng([options.seed, 2]))
    vendors = make_vendors(options.shape, options.vendor_count, np.random.default_rng([options.seed, 4]))
    return network, profiles, vendors


def item_pieces(options: GenerateOptions, profiles: Profiles, low: int, high: int) -> Iterator[tuple[Items, int]]:
    """Items `low` to `high` as pieces of blocks, each with the position of its first item in the block."""
    for block in range(low // ITEM_BLOCK, -(-high // ITEM_BLOCK)):
        start = max(low - block * ITEM_BLOCK, 0)
        stop = min(high - block * ITEM_BLOCK, ITEM_BLOCK)
        yield draw_items(options, profiles, block).rows(start, stop), start


def _stock(options: GenerateOptions, network: Network, profiles: Profiles, vendors: Vendors, items: Items, first: int):
    """Stock plan, starting units on hand `[I, N]`, and the uniform numbers of the pipeline."""
    plan = plan_stock(
        network, items.rate[:, None] * profiles.through[items.profile], items.dispersion,
        vendors.mean[items.vendor], vendors.sd[items.vendor],
    )  # fmt: skip
    block = int(items.number[0]) // ITEM_BLOCK
    rng = stream(options.seed, block, "stock")
    u = rng.random((2, ITEM_BLOCK, len(network.node_id)))[:, first : first + len(items.number)]
    return plan, starting_stock(plan, u[0]), u[1]


def item_frames(
    options: GenerateOptions, network: Network, profiles: Profiles, vendors: Vendors, items: Items, first: int
) -> dict[str, pl.DataFrame]:
    """The item tables of a piece of a block."""
    ids = item_ids(items.number, options.items)
    series = pl.Series("item_id", ids)
    plan, on_hand, u = _stock(options, network, profiles, vendors, items, first)
    return {
        "items": items_table(items, ids, profiles),
        "offers": offers_table(network, vendors, items, ids),
        "forecast": forecast_table(options, items, series, first),
        **stock_tables(network, plan, on_hand, u, ids, options.periods),
    }


def add_need(
    options: GenerateOptions, network: Network, profiles: Profiles, vendors: Vendors, items: Items,
    first: int, need: Need,
) -> None:  # fmt: skip
    """Add the use of some items to `need`."""
    plan, on_hand, u = _stock(options, network, profiles, vendors, items, first)
    daily = mean_demand(options, items, np.arange(options.periods))
    demand = by_bucket(daily, options.periods, options.bucket_periods)
    due = due_by_bucket(network, plan, u, options.periods, options.bucket_periods)
    accumulate_need(need, items, demand, plan.on_hand, on_hand, due)
