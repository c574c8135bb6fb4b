"""A small instance, a run that nothing happened to, and commands in processes of their own or in this one."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from meio_jax.cli import main
from meio_jax.generate import GenerateOptions, generate_instance

MEIO = "from meio_jax.cli import main; main()"
STATUSES = (0, 2, 3, 4, 5, 6)
STEPS = 30


@dataclass(frozen=True)
class Fault:
    """One fault: of what kind, to which command, when, what it ended with, and whether all is well after it.

    `documented`: the exit status is a documented one (or the signal itself, of SIGKILL) and there was no traceback;
    `kept`: what was complete before is as it was, or the new in its place as a whole; `same`: the command given again
    ends with the plan of a run that nothing happened to. `traceback` has the end of one, where there was any;
    `seconds` passed from the last signal to the end.
    """

    kind: str
    command: str
    moment: str
    status: int
    last_line: str
    documented: bool
    kept: bool
    same: bool
    traceback: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.documented and self.kept and self.same


class Bench:
    """The instance, and `whole`, the run that nothing happened to."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.instance = home / "instance"
        options = GenerateOptions(
            items=6, nodes_per_tier=(1, 1, 0), regions=2, periods=7, waves=1, speeds=2, shape="local"
        )
        generate_instance(options, self.instance)
        self.changes = home / "on_hand.parquet"
        pl.read_parquet(self.instance / "on_hand.parquet").head(2).write_parquet(self.changes)
        self.whole = home / "whole"
        status, text = self.here("solve", self.configuration(self.whole), "-q")
        if status != 3:
            raise SystemExit(f"the run without a fault ended with status {status}:\n{text}")
        self.earlier = home / "earlier"
        status, text = self.here("solve", self.configuration(self.earlier, seed=1), "-q")
        self.here("replan", self.whole, "--items", self.changes)
        self.lived, self.lived_earlier = home / "lived", home / "lived-earlier"
        for folder, seed in ((self.lived, 1), (self.lived_earlier, 2)):
            status, text = self.here("backtest", self.days(), "--run", folder, "--seed", seed, "-q")
            if status:
                raise SystemExit(f"the backtest without a fault ended with status {status}:\n{text}")

    def configuration(self, run: Path, seed: int = 0) -> Path:
        """The configuration of a run of some seconds that saves often."""
        content = {
            "instance": {"path": str(self.instance)},
            "run": str(run),
            "seed": seed,
            "scenarios": {"train": 16, "per_step": 8, "holdout": 16, "clairvoyant": 0},
            "solve": {"max_steps": STEPS, "min_steps": STEPS, "feasibility_steps": 0},
            "checkpoint": {"every": 3, "keep": 2},
        }
        path = self.home / f"{run.name}-{seed}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def days(self) -> Path:
        """The configuration of a backtest of two days, each of them planned anew."""
        content = {
            "instance": {"path": str(self.instance)},
            "run": str(self.home / "none"),
            "scenarios": {"train": 16, "per_step": 8, "holdout": 16, "clairvoyant": 0},
            "solve": {"max_steps": 6, "min_steps": 6, "feasibility_steps": 0, "slack_items": 0},
            "warm": {"max_steps": 4, "min_steps": 4},
            "checkpoint": {"every": 2},
            "backtest": {"days": 2, "every": 1, "baselines": ["national_two_day"]},
        }
        path = self.home / "days.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def start(self, *words: object, before: str = "") -> subprocess.Popen:
        """Start a command in a process of its own; `before` is what the process does first."""
        command = [sys.executable, "-c", before + MEIO, *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def here(self, *words: object) -> tuple[int, str]:
        """A command in this process, whose compiled programs are there: exit status and messages."""
        said = io.StringIO()
        arguments, sys.argv = sys.argv, ["meio", *map(str, words)]
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                main()
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue()
        finally:
            sys.argv = arguments
        return 0, said.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder's results: what may not be lost."""
    names = [*folder.glob("plan/**/*.parquet"), *folder.glob("results/*.parquet"), *folder.glob("*.parquet")]
    names += [folder / "certificate.json", folder / "summary.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names if path.is_file()}


def same_tables(run: Path, other: Path) -> bool:
    """Whether two folders hold the same tables to the last bit, but for the clock."""
    tables = [*other.glob("plan/*.parquet"), *other.glob("results/*.parquet"), *other.glob("*.parquet")]
    names = sorted(path.relative_to(other) for path in tables)

    def table(folder: Path, name: Path) -> pl.DataFrame:
        return pl.read_parquet(folder / name, glob=False).drop("seconds", strict=False)

    return all((run / name).exists() and table(run, name).equals(table(other, name)) for name in names)


def last_line(text: str) -> str:
    """The last line of what a command said, without the names of folders."""
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""


def traceback_in(text: str) -> str:
    """The end of a traceback that a command printed; empty where there is none."""
    return text[text.index("Traceback") :][-600:] if "Traceback" in text else ""
