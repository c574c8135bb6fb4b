"""Question: how fast is it, on one page?

    python experiments/performance_page.py --docs docs/performance.md

Writes the tables of docs/performance.md from the result files of bench_kernel, bench_peers, bench_solve and
gpu_compile; those that are not there are left as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

RESULTS = Path(__file__).parent / "results"
CATALOG = 10**8
# A catalog that fills a GPU, so that what is counted of it grows with its items.
LARGE = 100_000


def lines(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def times(value: float | None) -> str:
    """A ratio."""
    return "" if value is None else f"{value:,.1f}x" if value < 100 else f"{value:,.0f}x"


def kernel(found: dict) -> str:
    """Forward and gradient by network size."""
    head = ["nodes", "regions", "forward, µs", "with gradient, µs", "gradient / forward", "forward / compiled loop"]
    head += ["node-periods a second", "share of memory bandwidth", "share of arithmetic"]
    rows = [
        [
            f"{row['nodes']}",
            f"{row['regions']}",
            f"{row['forward_ns'] / 1e3:.2f}",
            f"{row['gradient_ns'] / 1e3:.2f}",
            f"{row['gradient_over_forward']:.2f}",
            f"{row['forward_over_compiled_loop']:.2f}",
            f"{row['node_periods_per_s_forward'] / 1e6:.1f} M",
            f"{row['traffic_share']:.0%}",
            f"{row['arithmetic_share']:.1%}",
        ]
        for row in found["rows"]
    ]
    machine = found["machine"]
    growth = found["growth_10_to_100"]
    said = (
        f"One core: {machine['gb_per_s']:.1f} GB/s and {machine['gflop_per_s']:.0f} Gflop/s measured beside it. "
        "From 10 nodes and 8 regions to 100 and 80 an item, scenario and period costs "
        f"{growth['forward_ns']:.1f} times as much forward and {growth['gradient_ns']:.1f} times with its gradient."
    )
    return f"{lines(head, rows)}\n\n{said}"


def peers(found: dict) -> str:
    """Beside PyTorch and stockpyl."""
    head = ["system", "scenarios", "ours, ns", "ours with gradient, ns", "PyTorch eager / ours", "torch.compile / ours"]
    head.append("stockpyl / ours (forward)")
    rows = [
        [
            row["system"],
            f"{row['batch']}",
            f"{row['ours_ns']:.0f}",
            f"{row['ours_gradient_ns']:.0f}",
            times(row["eager_over_ours_gradient"]),
            times(row["compile_over_ours_gradient"]),
            times(row["stockpyl_over_ours"]),
        ]
        for row in found["rows"]
    ]
    return lines(head, rows)


def solve(found: dict) -> str:
    """Whole solves by catalog size."""
    head = [
        "instance",
        "items",
        "start",
        "steps",
        "seconds, whole command",
        "seconds a step",
        "µs per item, scenario, day",
    ]
    head += ["peak MiB", "violation %", "gap %"]
    rows = [
        [
            row["instance"],
            f"{row['items']:,}",
            row["start"],
            f"{row['steps']}",
            f"{row['wall_s']:.0f}",
            f"{row['step_s']:.2f}",
            f"{row['step_ns'] / 1e3:.2f}",
            f"{row['peak_mib']:,}",
            f"{row['violation_pct']:.2f}",
            f"{row['gap_pct']:.2f}",
        ]
        for row in found["rows"]
    ]
    text = lines(head, rows)
    if "exponent" in found:
        exponent = found["exponent"]
        text += f"\n\nSeconds of a step grow as items to the power {exponent['step']:.2f}, "
        text += f"of all steps {exponent['steps']:.2f}, of the whole command {exponent['command']:.2f}."
    return text


def compiled(found: dict) -> str:
    """Launches and bytes of a joint step on an H100, as compiled and counted."""
    head = ["size", "items", "nodes", "regions", "speeds", "waves", "days", "scenarios", "items at once", "launches"]
    head += ["GB moved", "least GB", "argument GiB", "temporary GiB", "launches, ms", "bandwidth, ms", "floor, ms"]
    head.append("bound / floor")
    rows = [
        [
            row["size"],
            f"{row['items']:,}",
            *(f"{row[key]}" for key in ("nodes", "regions", "speeds", "waves", "days", "scenarios")),
            f"{row['block_items'] * row['blocks_at_once']:,}",
            f"{row['launches']:,}",
            f"{row['bytes'] / 1e9:,.1f}",
            f"{row['least_bytes'] / 1e9:,.1f}",
            f"{row['argument_bytes'] / 2**30:.2f}",
            f"{row['temporary_bytes'] / 2**30:.2f}",
            f"{1e3 * row['launch_s']:,.0f}",
            f"{1e3 * row['bandwidth_s']:,.0f}",
            f"{1e3 * row['floor_s']:,.1f}",
            f"{row['over_floor']:.1f}",
        ]
        for row in found["rows"]
    ]
    return lines(head, rows)


def extrapolated(found: dict) -> str:
    """What a catalog of 10^8 items takes on N GPUs, from the largest catalog that was compiled."""
    largest = max(found["rows"], key=lambda row: row["items"])
    per_item = max(largest["launch_s"], largest["bandwidth_s"]) / largest["items"]
    state = largest["argument_bytes"] / largest["items"]
    solved = json.loads((RESULTS / "bench_solve.json").read_text(encoding="utf-8"))["rows"]
    cold = [row for row in solved if row["start"] == "cold" and row["instance"] != "us_full"]
    steps = max(cold, key=lambda row: row["items"])["steps"]
    cells = []
    for gpus in (8, 64, 512):
        seconds, gib = CATALOG / gpus * per_item, CATALOG / gpus * state / 2**30
        fits = "yes" if gib + largest["temporary_bytes"] / 2**30 < 80 else "no: in parts"
        cells.append([f"{gpus}", f"{seconds:.1f}", f"{seconds * steps / 60:.0f}", f"{gib:.0f}", fits])
    said = (
        f"The network of the largest catalog above ({largest['nodes']} nodes, {largest['regions']} regions, "
        f"{largest['speeds']} speeds), {largest['scenarios']} scenarios a step; a step takes the larger of what its "
        f"launches and its bytes take, {1e6 * per_item:.2f} µs an item, however many devices share the items; "
        f"{steps} steps, as the largest catalog solved above; {state:,.0f} bytes an item stay on the device; the one "
        "all-reduce a step is left out."
    )
    return f"{said}\n\n{lines(['GPUs', 'seconds a step', 'minutes a solve', 'GiB a GPU', 'fits 80 GiB'], cells)}"


def both(found: dict) -> str:
    """Counts, and what follows from them for 10^8 items."""
    if max(row["items"] for row in found["rows"]) < LARGE:
        return f"{compiled(found)}\n\nFrom catalogs as small as these nothing is extrapolated to 10⁸ items."
    heading = "**10⁸ items on N GPUs, extrapolated from these counts, not measured.**"
    return f"{compiled(found)}\n\n{heading} {extrapolated(found)}"


PARTS: dict[str, Callable[[dict], str]] = {
    "bench_kernel": kernel,
    "bench_peers": peers,
    "bench_solve": solve,
    "gpu_compile": both,
}


def heading(name: str, found: dict) -> str:
    """How a table was made."""
    about = found.get("provenance", found)
    command = found.get("command", f"python experiments/{name}.py --out experiments/results/{name}.json")
    if "device_described" in about:
        plugin = about["plugin"].replace("_", "-")
        where = f"compiled for {about['device_described']} without one, JAX {about['jax']}, {plugin}, {about['date']}"
        return f"`{command}`; {where}, commit {about['commit']}; [{name}.json](../experiments/results/{name}.json)."
    where = f"{about['device']}, {about['processor'].strip()}, {about['cores']} core(s), JAX {about['jax']}"
    return f"`{command}`; {where}, commit {about['commit']}; [{name}.json](../experiments/results/{name}.json)."


def main(docs: Annotated[Path, typer.Option(help="page to write into")]) -> None:
    """Write the tables."""
    text = docs.read_text(encoding="utf-8")
    for name, part in PARTS.items():
        path, start, end = RESULTS / f"{name}.json", f"<!-- {name} starts -->", f"<!-- {name} ends -->"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            inside = f"{start}\n\n{heading(name, found)}\n\n{part(found)}\n\n{end}"
            text = text.split(start)[0] + inside + text.split(end)[1]
    docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
