"""Question: what does a joint step launch and move on an H100, and how far is that from what its memory allows?

    python experiments/gpu_compile.py --us-small DIR --us-full DIR --out experiments/results/gpu_compile.json

Compiles the programs of a joint step for a described H100, on a machine that need not have one (the CUDA plug-in of JAX
must be installed: `pip install "jax[cuda13]"`, in an environment of its own), and counts in the compiled programs:

- *launches*, loop by loop: at 4 microseconds each they bound a step from below;
- *bytes moved*: operands and results of every launch (`gpu_parts/count.py`); at 3.35 TB/s they bound it as well;
- *least bytes*: what must pass between the memory and the chip if a day of a block were one kernel: see `least_bytes`;
- memory of arguments and of temporary arrays, as the compiler lays them out.

DIR are instance folders that `experiments/us_network.py` makes; sizes whose folder is not given are left out. The
generated catalogs of 10^5 and 10^6 items are compiled from shapes: the step scans over blocks, so that a program has
the size of a block, whatever the catalog. With --hlo the programs are kept as text, and --recount counts them again.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import typer
from gpu_parts.count import Loop, count
from gpu_parts.device import BANDWIDTH, LAUNCH, MEMORY, plugin, sharding, without_gpu
from gpu_parts.step import Size, config_of, grown, lowered, problem_of, programs
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import Config
from meio_jax.instance import Instance, build_instance
from meio_jax.instance.blocks import blocks_needed, evened, in_equal_sets
from meio_jax.model.network import Network
from meio_jax.planner import Device, blocks_together, items_per_block, per_step
from meio_jax.solver.subproblem import InventorySubproblem, at_once

HOME = Path(__file__).parents[1]
# JAX takes three quarters of the memory of a GPU.
DEVICE = Device("gpu", 3 * MEMORY // 4)
SIZES = {
    "us_small": Size("us_small", 0, config="configs/us_small.yaml"),
    "us_full": Size("us_full", 0, config="configs/us_full.yaml"),
    "1e5": Size("1e5", 100_000),
    "1e6": Size("1e6", 1_000_000),
}
# Compiled by the tests as well.
TINY = {"tiny": Size("tiny", 24, nodes=(1, 2, 1), regions=4, speeds=2, periods=7)}


@dataclass(frozen=True)
class Row:
    """A size. Bytes, launches and seconds are of one joint step; `days` counts the tail.

    `launch_s` is the time that launches take one after the other, `bandwidth_s` that of the bytes moved, `floor_s` that
    of the least bytes; `over_floor` is the larger of the first two over the floor.
    """

    size: str
    items: int
    nodes: int
    regions: int
    speeds: int
    waves: int
    days: int
    scenarios: int
    block_items: int
    blocks: int
    blocks_at_once: int
    launches: int
    loops_of_unknown_length: int
    bytes: int
    least_bytes: int
    argument_bytes: int
    temporary_bytes: int
    fits: bool
    launch_s: float
    bandwidth_s: float
    floor_s: float
    over_floor: float


def least_bytes(network: Network, scenarios: int, items: int, state_bytes: int, *, twice: bool) -> int:
    """Bytes that a joint step cannot help moving if a day of a block is one kernel forward and one backward.

    A day forward reads its demand and lead times and writes them when they are drawn, and reads and writes stock,
    backlog and pipelines. A day backward reads the draws and the stock of the morning again, and reads and writes the
    derivatives by the state. Items' data and parameters (`state_bytes`) are read once and written once. With `twice`
    (prices follow usage in whole units) a day forward passes a second time.
    """
    classes = network.waves * network.speeds * network.regions
    backlog = network.speeds * network.regions if network.backorders else 0
    stock = 2 * network.nodes + backlog
    slots = len(network.vendor_nodes) * network.vendor_limit + len(network.lane_nodes) * network.lane_limit
    draws = classes + network.offers
    forward = draws + 2 * (stock + slots)
    backward = draws + stock + 2 * (stock + slots)
    words = draws + forward + backward + (forward if twice else 0)
    return 4 * network.horizon * words * items * scenarios + 2 * state_bytes


def _size_in_bytes(tree: Any) -> int:
    return sum(
        int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")
    )


def laid_out(size: Size, folder: Path | None) -> tuple[Instance, InventorySubproblem, Config, int, int]:
    """Instance, item problems in shapes, configuration, items per block and blocks of a size."""
    config = config_of(size, HOME)
    tables = size.tables(folder)
    each = items_per_block(tables, config, per_step(config), DEVICE)
    together = blocks_together(DEVICE)
    if folder is not None:
        bands = config.fulfilment.weight_bands
        instance = build_instance(tables, block_items=each, bands=bands, together=together)
        blocks, each = instance.catalog.keys.shape[:2]
        return instance, problem_of(instance, instance.catalog, config, DEVICE), config, each, blocks
    # Groups of one size, as many as the few items make.
    groups = np.unique(build_instance(tables, block_items=1, bands=config.fulfilment.weight_bands).layout.group).size
    sizes = [-(-size.items // groups)] * groups
    each = evened([sizes], min(each, size.items), together)
    blocks = in_equal_sets(blocks_needed(sizes, each), 1, together)
    instance, catalog = grown(tables, config, blocks, each)
    return instance, problem_of(instance, catalog, config, DEVICE), config, each, blocks


def compiled_text(name: str, make: Any, hlo: Path | None, *, recount: bool) -> tuple[str, dict[str, int]]:
    """Scheduled text of a program and the memory that it needs, compiled or as it was kept."""
    text_file = None if hlo is None else hlo / f"{name}.hlo"
    if recount:
        if text_file is None or not text_file.exists():
            raise SystemExit(f"--recount: there is no program {text_file}; run with --hlo and without --recount first")
        return text_file.read_text(encoding="utf-8"), json.loads(text_file.with_suffix(".json").read_text())
    done = make().compile()
    about = done.memory_analysis()
    memory = {"arguments": about.argument_size_in_bytes, "temporary": about.temp_size_in_bytes}
    text = done.as_text()
    if text_file is not None:
        text_file.parent.mkdir(parents=True, exist_ok=True)
        text_file.write_text(text, encoding="utf-8")
        text_file.with_suffix(".json").write_text(json.dumps(memory), encoding="utf-8")
    return text, memory


def measure(size: Size, folder: Path | None, hlo: Path | None, *, recount: bool) -> tuple[Row, dict[str, Loop]]:
    """Compile the programs of a size and count them."""
    instance, problem, config, each, blocks = laid_out(size, folder)
    network, device = instance.network, sharding()
    loops, memory = {}, {}
    for name, (function, shapes) in programs(problem, config, instance.kinds).items():
        make = lambda function=function, shapes=shapes: lowered(function, shapes, device)
        text, memory[name] = compiled_text(f"{size.name}-{name}", make, hlo, recount=recount)
        loops[name] = count(text)
    items = size.items or int(instance.layout.count)
    samples = per_step(config)
    launches = sum(loop.launches for loop in loops.values())
    moved = sum(loop.bytes for loop in loops.values())
    state = _size_in_bytes((problem.catalog.block, problem.catalog.demand, problem.first)) + 4 * _size_in_bytes(
        problem.first
    )
    least = least_bytes(network, samples, items, state, twice=problem.settings.whole_usage)
    needed = memory["items"]["arguments"] + memory["items"]["temporary"]
    row = Row(
        size=size.name,
        items=items,
        nodes=network.nodes,
        regions=network.regions,
        speeds=network.speeds,
        waves=network.waves,
        days=network.horizon,
        scenarios=samples,
        block_items=each,
        blocks=blocks,
        blocks_at_once=at_once(blocks, problem.settings.together),
        launches=launches,
        loops_of_unknown_length=sum(one.trips is None for loop in loops.values() for _, one in loop.walk()),
        bytes=moved,
        least_bytes=least,
        argument_bytes=memory["items"]["arguments"],
        temporary_bytes=memory["items"]["temporary"],
        fits=needed <= MEMORY,
        launch_s=launches * LAUNCH,
        bandwidth_s=moved / BANDWIDTH,
        floor_s=least / BANDWIDTH,
        over_floor=max(launches * LAUNCH, moved / BANDWIDTH) / (least / BANDWIDTH),
    )
    return row, loops


def as_lines(loops: dict[str, Loop]) -> list[dict[str, Any]]:
    """Loops of the programs, outermost first; launches and megabytes of one trip without the loops inside."""
    return [
        {
            "program": name,
            "depth": depth,
            "trips": loop.trips,
            "launches_a_trip": loop.own_launches,
            "mb_a_trip": round(loop.own_bytes / 1e6, 3),
            "launches": loop.launches,
        }
        for name, whole in loops.items()
        for depth, loop in whole.walk()
    ]


def show(rows: list[Row]) -> Table:
    """The rows as a table."""
    columns = ("size", "items", "block_items", "blocks", "launches", "GB", "least GB", "argument GiB", "temporary GiB")
    table = Table(*columns, "launch ms", "bandwidth ms", "floor ms", "over floor")
    for row in rows:
        table.add_row(
            row.size, f"{row.items:,}", f"{row.block_items:,}", f"{row.blocks}", f"{row.launches:,}",
            f"{row.bytes / 1e9:.2f}", f"{row.least_bytes / 1e9:.2f}", f"{row.argument_bytes / 2**30:.2f}",
            f"{row.temporary_bytes / 2**30:.2f}", f"{1e3 * row.launch_s:.1f}", f"{1e3 * row.bandwidth_s:.1f}",
            f"{1e3 * row.floor_s:.1f}", f"{row.over_floor:.1f}",
        )  # fmt: skip
    return table


def show_loops(lines: list[dict[str, Any]]) -> Table:
    """Loops with most launches."""
    table = Table("program", "loop", "trips", "launches a trip", "MB a trip", "launches")
    for line in lines:
        where = "  " * line["depth"] + ("whole" if line["depth"] == 0 else "loop")
        trips = "unknown" if line["trips"] is None else f"{line['trips']}"
        cells = (f"{line['launches_a_trip']}", f"{line['mb_a_trip']:.2f}", f"{line['launches']:,}")
        table.add_row(line["program"], where, trips, *cells)
    return table


def main(
    us_small: Annotated[Path | None, typer.Option(help="Folder of the small US instance.")] = None,
    us_full: Annotated[Path | None, typer.Option(help="Folder of the full US instance.")] = None,
    size: Annotated[list[str] | None, typer.Option(help=f"Sizes: {', '.join(SIZES)} (default), tiny.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    hlo: Annotated[Path | None, typer.Option(help="Folder in which compiled programs are kept as text.")] = None,
    recount: Annotated[bool, typer.Option(help="Count the programs of --hlo, without compiling.")] = False,
) -> None:
    """Compile, count and write."""
    without_gpu()
    command = " ".join(["python", "experiments/gpu_compile.py", *sys.argv[1:]])
    # What is compiled is the tree of now, not that of an hour later.
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance(), "plugin": plugin()}
    console, folders = Console(width=200), {"us_small": us_small, "us_full": us_full}
    rows, loops, known = [], {}, SIZES | TINY
    for name in size or SIZES:
        if name not in known:
            raise SystemExit(f"--size {name}: not known; expected one of {', '.join(known)}")
        if known[name].config is not None and folders[name] is None:
            console.print(f"{name} is left out: its instance folder was not given (--{name.replace('_', '-')})")
            continue
        row, found = measure(known[name], folders.get(name), hlo, recount=recount)
        rows.append(row)
        loops[name] = as_lines(found)
        console.print(show([row]), show_loops(loops[name]))
    console.print(show(rows))
    report = {
        **about,
        "device_described": "NVIDIA H100 80GB HBM3",
        "bandwidth_bytes_per_s": BANDWIDTH,
        "launch_s": LAUNCH,
        "rows": [asdict(row) for row in rows],
        "loops": loops,
    }
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
