"""Commands that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from faults_parts.bench import STATUSES, STEPS, Bench, Fault, contents, last_line, same_tables, traceback_in

SIGNALS = {
    "SIGKILL": [signal.SIGKILL],
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGTERM twice": [signal.SIGTERM, signal.SIGTERM],
}
COMMANDS = ("solve", "solve --overwrite", "resume", "replan", "report", "backtest --overwrite")


def a_kill(bench: Bench, rng: random.Random, number: int) -> Fault:
    """Kill a command, in turn with every signal, at a random moment; look at what is left, and go on."""
    pairs = [(command, name) for command in COMMANDS for name in SIGNALS]
    command, name = pairs[number % len(pairs)]
    run = bench.home / f"kill{number}"
    words = prepared(bench, run, command)
    before = contents(run)
    process = bench.start(*words)
    moment = wait(process, run, rng, command)
    told = time.perf_counter()
    for earlier, one in enumerate(SIGNALS[name]):
        if earlier:
            time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            os.kill(process.pid, one)
            told = time.perf_counter()
    text = process.communicate(timeout=300)[0]
    seconds = time.perf_counter() - told
    status = process.returncode
    expected = (*STATUSES, -signal.SIGKILL) if name == "SIGKILL" else STATUSES
    documented = status in expected and "Traceback" not in text
    kept = is_kept(bench, run, command, before)
    bench.here(*again(run, command, words))
    same = is_same(bench, run, command)
    shutil.rmtree(run, ignore_errors=True)
    return Fault(
        name,
        command,
        moment,
        status,
        last_line(text).replace(str(bench.home), ""),
        documented,
        kept,
        same,
        traceback_in(text),
        round(seconds, 2),
    )


def prepared(bench: Bench, run: Path, command: str) -> tuple:
    """A folder for a command, and the command."""
    if command in ("replan", "report"):
        shutil.copytree(bench.whole, run)
        shutil.rmtree(run / "replan", ignore_errors=True)
        return ("replan", run, "--items", bench.changes) if command == "replan" else ("report", run)
    if command == "backtest --overwrite":
        shutil.copytree(bench.lived_earlier, run)
        return "backtest", bench.days(), "--run", run, "--seed", 1, "-q", "--overwrite"
    config = bench.configuration(run)
    if command == "solve --overwrite":
        shutil.copytree(bench.earlier, run)
        return "solve", config, "-q", "--overwrite"
    if command == "resume":
        shutil.copytree(bench.whole, run)
        for step in (run / "checkpoints/1-of-1").glob("[0-9]*"):
            if int(step.name) == STEPS:
                shutil.rmtree(step)
        for name in ("certificate.json", "prices.parquet", "metrics.parquet"):
            (run / name).unlink()
        shutil.rmtree(run / "plan")
        return "resume", run, "-q"
    return "solve", config, "-q"


def again(run: Path, command: str, words: tuple) -> tuple:
    """The command that goes on after a fault: what is begun is continued."""
    if command.startswith("backtest"):
        begun = (run / ".next" / "backtest.json").exists()
        return (*words[:-1], "--resume" if begun else "--overwrite")
    begun = any((place / "config.yaml").exists() for place in (run / ".next", run))
    if command == "solve":
        return ("resume", run, "-q") if begun else words
    if command == "solve --overwrite" and (run / ".next" / "config.yaml").exists():
        return "resume", run, "-q"
    return words


def wait(process: subprocess.Popen, run: Path, rng: random.Random, command: str) -> str:
    """Until a random moment: anything between the first words of the program and the writing of its results.

    What ends the interpreter before the program begins is not told by the program.
    """
    while process.poll() is None and not listens(process.pid):
        time.sleep(0.001)
    moments = {
        "at once": lambda: True,
        "once it holds the folder": lambda: (run / ".meio.holder.json").exists(),
    }
    if command.startswith("backtest"):
        place = lambda: run / ".next"
        moments |= {
            f"on day {day} of the backtest": lambda day=day: (place() / f"plans/{day:03d}/config.yaml").exists()
            for day in (0, 1)
        }
        moments["once results are written"] = lambda: (place() / "results").exists()
    elif command not in ("replan", "report"):
        # The first place of the two where the run is written.
        place = lambda: run / ".next" if command == "solve --overwrite" else run
        step = rng.randrange(3, STEPS, 3)
        moments |= {
            f"after step {step}": lambda: any(
                int(one.name) >= step for one in place().glob("checkpoints/1-of-1/[0-9]*") if one.name.isdigit()
            ),
            "while the plan is judged": lambda: (place() / f"checkpoints/1-of-1/{STEPS}").exists(),
            "while a checkpoint is written": lambda: any(place().glob("checkpoints/1-of-1/*orbax-checkpoint-tmp*")),
            "while results are written": lambda: (place() / ".next").exists(),
        }
    name = rng.choice(sorted(moments))
    while process.poll() is None and not moments[name]():
        time.sleep(0.003)
    longest = {"at": 3.0, "once": 3.0, "while the plan is judged": 1.0}
    seconds = rng.uniform(0, longest.get(name, longest.get(name.split()[0], 0.2)))
    time.sleep(seconds)
    return f"{name}, {seconds:.2f} s later"


def listens(process: int) -> bool:
    """Whether a process hears SIGTERM."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def is_kept(bench: Bench, run: Path, command: str, before: dict[str, bytes]) -> bool:
    """Whether the folder holds what it held before, or (settled by the next command) the new as a whole."""
    bench.here("report", run, "--out", bench.home / "looked-at.html")
    after = contents(run)
    new = bench.lived if command.startswith("backtest") else bench.whole
    return not before or after == before or same_tables(run, new)


def is_same(bench: Bench, run: Path, command: str) -> bool:
    """Whether the command that was given again ended as if nothing had happened."""
    if command.startswith("backtest"):
        return same_tables(run, bench.lived) and not (run / ".next").exists()
    if command == "replan":
        return same_tables(run, bench.whole) and same_tables(run / "replan", bench.whole / "replan")
    if command == "report":
        return same_tables(run, bench.whole) and (run / "report.html").read_text(encoding="utf-8").endswith("</html>")
    return same_tables(run, bench.whole) and not (run / ".next").exists()
