"""Question: how fast is it, on one page?

    python experiments/performance_page.py --docs docs/performance.md

Writes the tables of docs/performance.md from the result files of bench_kernel, bench_peers and bench_solve; those that
are not there are left as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

RESULTS = Path(__file__).parent / "results"


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
    if "extrapolation" in found:
        about = found["extrapolation"]["assumptions"]
        cells = [
            [f"{one['gpus']}", f"{one['step_s']:.1f}", f"{one['solve_s'] / 60:.0f}", f"{one['gib_per_gpu']:.0f}"]
            for one in found["extrapolation"]["gpus"]
        ]
        text += (
            "\n\n**10⁸ items on N GPUs, extrapolated, not measured**: a step is bound by memory traffic, so its time "
            f"is that of this machine ({about['bandwidth_here_gb_per_s']:.0f} GB/s) scaled to "
            f"{about['bandwidth_gpu_gb_per_s']:,} GB/s at the same share of the bandwidth; the network, "
            f"{about['scenarios_per_step']} scenarios a step and {about['steps']} steps are those of the largest "
            f"catalog; {about['bytes_per_item']:,.0f} bytes an item stay on the device; the one all-reduce a step is "
            "left out.\n\n"
        )
        text += lines(["GPUs", "seconds a step", "minutes a solve", "GiB a GPU"], cells)
    return text


PARTS: dict[str, Callable[[dict], str]] = {"bench_kernel": kernel, "bench_peers": peers, "bench_solve": solve}


def heading(name: str, found: dict) -> str:
    """How a table was made."""
    about = found.get("provenance", found)
    command = found.get("command", f"python experiments/{name}.py --out experiments/results/{name}.json")
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
