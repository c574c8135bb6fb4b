"""Commands that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from faults_parts.bench import STATUSES, STEPS, Bench, Fault, contents, last_line, same_tables

SIGNALS = {
    "SIGKILL": [signal.SIGKILL],
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGTERM twice": [signal.SIGTERM, signal.SIGTERM],
}
COMMANDS = ("solve", "solve --overwrite", "resume", "replan", "report")


def kills(bench: Bench, rng: random.Random, count: int) -> Iterator[Fault]:
    """Kill commands, in turn with every signal, each at a random moment."""
    pairs = [(command, name) for command in COMMANDS for name in SIGNALS]
    for number in range(count):
        command, name = pairs[number % len(pairs)]
        yield kill(bench, rng, number, command, name)


def kill(bench: Bench, rng: random.Random, number: int, command: str, name: str) -> Fault:
    """Kill one command once, look at what is left, and go on."""
    run = bench.home / f"kill{number}"
    words, again = prepared(bench, run, command)
    before = contents(run)
    process = bench.start(*words)
    moment = wait(process, run, rng, command)
    for one in SIGNALS[name]:
        if process.poll() is None:
            os.kill(process.pid, one)
            time.sleep(rng.uniform(0, 0.3))
    text = process.communicate(timeout=300)[0]
    status = process.returncode
    expected = (*STATUSES, -signal.SIGKILL) if name == "SIGKILL" else STATUSES
    documented = status in expected and "Traceback" not in text
    kept = is_kept(bench, run, before)
    bench.here(*again)
    same = is_same(bench, run, command)
    shutil.rmtree(run, ignore_errors=True)
    return Fault(name, command, moment, status, last_line(text).replace(str(bench.home), ""), documented, kept, same)


def prepared(bench: Bench, run: Path, command: str) -> tuple[tuple, tuple]:
    """A folder for a command; the command, and the one that goes on after a fault."""
    if command in ("replan", "report"):
        shutil.copytree(bench.whole, run)
        shutil.rmtree(run / "replan", ignore_errors=True)
        words = ("replan", run, "--items", bench.changes) if command == "replan" else ("report", run)
        return words, words
    config = bench.configuration(run)
    if command == "solve --overwrite":
        shutil.copytree(bench.earlier, run)
        return ("solve", config, "-q", "--overwrite"), ("solve", config, "-q", "--overwrite")
    if command == "resume":
        shutil.copytree(bench.whole, run)
        for step in (run / "checkpoints/1-of-1").glob("[0-9]*"):
            if int(step.name) == STEPS:
                shutil.rmtree(step)
        for name in ("certificate.json", "prices.parquet", "metrics.parquet"):
            (run / name).unlink()
        shutil.rmtree(run / "plan")
        return ("resume", run, "-q"), ("resume", run, "-q")
    return ("solve", config, "-q"), ("solve", config, "-q", "--overwrite")


def wait(process: subprocess.Popen, run: Path, rng: random.Random, command: str) -> str:
    """Until a random moment: anything between the start of the process and the writing of its results."""
    moments = {
        "at once": lambda: True,
        "once it holds the folder": lambda: (run / ".meio.holder.json").exists(),
    }
    if command not in ("replan", "report"):
        # The first place of the two where the run is written.
        place = lambda: run / ".next" if command == "solve --overwrite" else run
        step = rng.randrange(3, STEPS, 3)
        moments |= {
            f"after step {step}": lambda: any(
                int(one.name) >= step for one in place().glob("checkpoints/1-of-1/[0-9]*") if one.name.isdigit()
            ),
            "while a checkpoint is written": lambda: any(place().glob("checkpoints/1-of-1/*orbax-checkpoint-tmp*")),
            "while results are written": lambda: (place() / ".next").exists(),
        }
    name = rng.choice(sorted(moments))
    while process.poll() is None and not moments[name]():
        time.sleep(0.001)
    seconds = rng.uniform(0, 3.0 if name.startswith(("at once", "once")) else 0.2)
    time.sleep(seconds)
    return f"{name}, {seconds:.2f} s later"


def is_kept(bench: Bench, run: Path, before: dict[str, bytes]) -> bool:
    """Whether the folder holds what it held before, or (settled by the next command) the new as a whole."""
    bench.here("report", run, "--out", bench.home / "looked-at.html")
    after = contents(run)
    return not before or after == before or same_tables(run, bench.whole)


def is_same(bench: Bench, run: Path, command: str) -> bool:
    """Whether the command that was given again ended as if nothing had happened."""
    if command == "replan":
        return same_tables(run, bench.whole) and same_tables(run / "replan", bench.whole / "replan")
    if command == "report":
        return same_tables(run, bench.whole) and (run / "report.html").read_text(encoding="utf-8").endswith("</html>")
    return same_tables(run, bench.whole) and not (run / ".next").exists()
