"""Question: how fast does `meio serve` answer twenty clients at once?

    python experiments/serve_latency.py --out experiments/results/serve_latency.json runs/quickstart

Starts the command in a process of its own, and asks it with a real HTTP client: twenty clients, each of which asks
again as soon as it is answered. Of every kind of request: answers, errors, answers a second, and seconds from asking to
the whole answer (median, 99th percentile, longest). Re-plans and explanations pass the device one after the other, so
that a client waits for those of the other nineteen; `health while others replan` is asked by one client while twenty
re-plan. Programs are compiled by a few requests before the clock starts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import polars as pl
import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table

CLIENTS = 20
Ask = Callable[[httpx.Client, int], httpx.Response]


@dataclass(frozen=True)
class Latency:
    """Answers to one kind of request by some clients, and seconds of an answer."""

    request: str
    clients: int
    answers: int
    errors: int
    per_second: float
    p50_s: float
    p99_s: float
    longest_s: float


@contextmanager
def serving(run: Path) -> Iterator[tuple[str, list[float]]]:
    """The command in a process of its own: its URL, and seconds from SIGTERM to its end."""
    code = "from meio_jax.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(run), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "MEIO_TOKEN"},
    )
    assert process.stderr is not None
    url = re.search(r"http://\S+:\d+", process.stderr.readline())
    if url is None:
        raise SystemExit(f"no server: {process.stderr.read()}")
    ended: list[float] = []
    try:
        while httpx.get(f"{url[0]}/health", timeout=60).json()["status"] == "starting":
            time.sleep(0.5)
        yield url[0], ended
    finally:
        started = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        ended.append(time.perf_counter() - started)


def measured(
    url: str, name: str, ask: Ask, clients: int, seconds: float, stop: threading.Event | None = None
) -> Latency:
    """Ask for some time (or until told to stop), every client one request after the other."""
    took: list[list[float]] = [[] for _ in range(clients)]
    errors = [0] * clients
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        with httpx.Client(base_url=url, timeout=300) as client:
            count = 0
            while time.perf_counter() < end and not (stop is not None and stop.is_set()):
                started = time.perf_counter()
                errors[number] += ask(client, number + clients * count).status_code != 200
                took[number].append(time.perf_counter() - started)
                count += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    every = np.asarray([one for own in took for one in own])
    p50, p99 = np.quantile(every, [0.5, 0.99])
    rate = len(every) / spent
    return Latency(name, clients, len(every), sum(errors), rate, float(p50), float(p99), float(every.max()))


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    seconds: Annotated[float, typer.Option(help="Seconds of every kind of request.")] = 20.0,
    clients: Annotated[int, typer.Option(help="Clients at once.")] = CLIENTS,
    steps: Annotated[int, typer.Option(help="Gradient steps of a re-plan.")] = 20,
) -> None:
    items = pl.read_parquet(run / "plan/targets.parquet")["item_id"].unique(maintain_order=True).to_list()
    item = lambda number: items[number % len(items)]
    replan: Ask = lambda client, n: client.post("/replan", json={"items": [item(n)], "steps": steps})
    explain: Ask = lambda client, n: client.get("/explain", params={"item": item(n)})
    health: Ask = lambda client, n: client.get("/health")
    prices: Ask = lambda client, n: client.get("/prices")
    rows: list[Latency] = []
    with serving(run) as (url, ended):
        with httpx.Client(base_url=url, timeout=300) as client:
            for number in range(3):
                replan(client, number).raise_for_status()
                explain(client, number).raise_for_status()
        for name, ask in {"health": health, "prices": prices, "replan": replan, "explain": explain}.items():
            rows.append(measured(url, name, ask, clients, seconds))
        done = threading.Event()
        beside: list[Latency] = []
        one = threading.Thread(
            target=lambda: beside.append(measured(url, "health while others replan", health, 1, 1e9, done))
        )
        one.start()
        measured(url, "replan", replan, clients, seconds / 2)
        done.set()
        one.join()
        rows += beside
    table = Table(*asdict(rows[0]), title=f"{run.name}: {len(items)} items, ended {ended[0]:.2f} s after SIGTERM")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    Console().print(table)
    command = f"python experiments/serve_latency.py --out {out} {run} --seconds {seconds:g} --clients {clients}"
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance(), "items": len(items)}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    content = {**about, "load": load, "steps": steps, "end_s": ended[0], "latency": [asdict(row) for row in rows]}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
