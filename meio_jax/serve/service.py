"""What the server answers, without HTTP: the run as it was when the server began."""

from __future__ import annotations

import datetime
import json
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.folders import used
from meio_jax.items.explain import explain_run
from meio_jax.items.replan import Replanner, ReplanOptions
from meio_jax.progress import AbstractProgress, Step
from meio_jax.runs.data import read_table
from meio_jax.runs.folder import without_nan
from meio_jax.runs.run import config_of_run, configure_jax
from meio_jax.serve.models import HealthAnswer, ReplanRequest
from meio_jax.tables.overlay import item_column
from meio_jax.tables.sources import stamps

_WATCHED = ("certificate.json", "config.yaml", "instance.json", "prices.parquet", "plan/targets.parquet")
_REMEMBERED = 256
_INSTANCE = "The instance has changed since the server was started: re-plans use it as it was then."


class RunChanged(Exception):
    """The folder of the run is no longer what the server read."""


class _Notes(AbstractProgress):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def update(self, step: Step) -> None:
        del step

    def warning(self, text: str) -> None:
        self.said.append(text)


class RunService:
    """A run, its instance and the compiled programs. One thread at a time calls `replan` and `explain`.

    Args:
        run: Folder of a finished run.
        instance: Folder of its instance, if it has moved.

    Raises:
        InputError: If run or instance cannot be used.
    """

    def __init__(self, run: Path, instance: Path | None = None) -> None:
        configure_jax(config_of_run(run))
        self.run = run
        with used(run, "meio serve"):
            self._replanner = Replanner(run, instance)
            self._prices = read_table(run, "prices")
            self._run_stamp = _stamp(run)
        self._instance = self._replanner.folder
        self._instance_stamp = _instance_stamp(self._instance)
        self._explained: OrderedDict[tuple[str, str | None, int | None], bytes] = OrderedDict()
        self.ready = False

    def warm_up(self) -> None:
        """Compile what re-plans of one item need, by planning the first item again."""
        for first in self._replanner.known_items()[:1]:
            self.replan(ReplanRequest(items=[first], steps=1))
        self.ready = True

    def check(self) -> None:
        """Make sure that the run is the one that was read.

        Raises:
            RunChanged: If it is not.
        """
        if _stamp(self.run) != self._run_stamp:
            raise RunChanged

    def notes(self) -> list[str]:
        """What callers should know about every answer."""
        return [_INSTANCE] if _instance_stamp(self._instance) != self._instance_stamp else []

    def health(self, waiting: int, *, ending: bool) -> HealthAnswer:
        """How the server is; reads nothing but times of files."""
        changed = _stamp(self.run) != self._run_stamp
        status = "ending" if ending else "changed" if changed else "ok" if self.ready else "starting"
        return HealthAnswer(
            status=status,
            run=str(self.run),
            instance_changed=bool(self.notes()),
            waiting=waiting,
            version=version("meio-jax"),
        )

    def prices(self, resource: str | None, bucket: int | None) -> bytes:
        """Prices of capacities as JSON: of all, of a resource, of a bucket.

        Raises:
            InputError: If there is no such resource or bucket.
        """
        frame = self._prices
        for column, wanted in (("resource_id", resource), ("bucket", bucket)):
            if wanted is not None:
                known = frame[column].unique().sort().to_list()
                if wanted not in known:
                    shown = ", ".join(str(one) for one in known[:20])
                    problem = Problem("request", "query", column, wanted, "one of the run", f"choose one of {shown}")
                    raise Refusal(problem)
                frame = frame.filter(pl.col(column) == wanted)
        return _json({"prices": frame.to_dicts(), "notes": self.notes()})

    def replan(self, request: ReplanRequest) -> bytes:
        """Plan items again; JSON as in `ReplanAnswer`.

        Raises:
            InputError: With all problems of the tables.
        """
        form = self._replanner.network.settings.forecast
        changes = {name: _frame(name, rows) for name, rows in request.tables.items() if rows}
        if request.items and "items" in changes:
            both = Note("items in both `items` and `tables.items`")
            remedy = "name the further items in a request of their own"
            raise Refusal(Problem("request", "body", "items", both, "one of the two", remedy))
        if request.items:
            changes["items"] = pl.DataFrame({item_column("items", form): request.items})
        found = self._replanner.replan(changes, ReplanOptions(steps=request.steps, overrides=False))
        return _json(
            {
                "orders": found.frames["plan/orders"].to_dicts(),
                "transfers": found.frames["plan/transfers"].to_dicts(),
                "targets": found.frames["plan/targets"].to_dicts(),
                "items": found.items.to_dicts(),
                "usage": found.usage.filter(pl.col("change") != 0).to_dicts(),
                "warnings": found.warnings,
                "notes": self.notes(),
                "seconds": found.seconds,
            }
        )

    def explain(self, item: str, node: str | None, scenarios: int | None) -> bytes:
        """Why an item has the stock it has at a node; JSON as of `meio explain --json`, with `notes`.

        Raises:
            InputError: If there is no such item, or it may not be stocked at the node.
        """
        key, notes = (item, node, scenarios), self.notes()
        if key in self._explained and not notes:
            self._explained.move_to_end(key)
            return self._explained[key]
        said = _Notes()
        found = explain_run(self.run, item, node, instance=self._instance, scenarios=scenarios, progress=said)
        body = _json({**found.as_dict(), "notes": [*notes, *said.said]})
        if not notes:
            self._explained[key] = body
            if len(self._explained) > _REMEMBERED:
                self._explained.popitem(last=False)
        return body


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a request as a table; a column of numbers and texts becomes one of texts, as in a file."""
    try:
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, OverflowError, ValueError, TypeError) as error:
        found = Note(" ".join(str(error).split())[:200])
        remedy = "give every column one type"
        raise InputError([Problem("request", "body", f"tables.{name}", found, "rows of a table", remedy)]) from None


def _stamp(run: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """Size, time of change and number of the files by which a run is known."""
    found: list[tuple[int, int, int] | None] = []
    for name in _WATCHED:
        try:
            status = (run / name).stat()
            found.append((status.st_size, status.st_mtime_ns, status.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)


def _instance_stamp(folder: Path) -> dict[str, tuple[int, int, int]] | None:
    try:
        return stamps(folder)
    except OSError:
        return None


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(without_nan(content), default=_plain, allow_nan=False).encode()


def _plain(value: object) -> str:
    """Dates as text."""
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
