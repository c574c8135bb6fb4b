"""The tables of a plan in its run folder, written part by part and process by process."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax
import numpy as np
import polars as pl

from meio_jax.distributed.processes import gather, is_first
from meio_jax.planner.finished import PartPlan, Plan, part_frames
from meio_jax.planner.model import Model
from meio_jax.plans.bound_orders import ORDER_LINES, ORDERS, VENDOR_ORDERS, with_decided
from meio_jax.plans.exceptions import capacity_exceptions
from meio_jax.plans.flows import ORDER, merged_flows, own_flows
from meio_jax.plans.names import with_names
from meio_jax.plans.vendor_orders import whole_order_frame, whole_orders
from meio_jax.solver.solve import Solution
from meio_jax.tables import write_table


class PlanFiles:
    """Takes the plan of one part after the other.

    A table with a row per item is a file; of a streamed catalog it is a folder of one file per part. Of several
    processes each writes the rows of its own items, and the first puts together what is to be one file.
    """

    def __init__(self, model: Model, solution: Solution, folder: Path, earlier_prices: np.ndarray | None) -> None:
        self._model, self._solution, self._earlier = model, solution, earlier_prices
        self._folder, self._parts = folder, folder / "plan" / ".parts"
        self._lines = folder / "plan" / ".lines"
        self._flows: dict[str, pl.DataFrame] = {}

    def receive(self, part: PartPlan) -> None:
        """Write the tables of a part."""
        for name, frame in part_frames(self._model, self._solution, part, self._earlier):
            if name in ORDER:
                before = [self._flows[name]] if name in self._flows else []
                self._flows[name] = merged_flows([*before, frame], name) if before else frame
            elif name == ORDER_LINES:
                # Of a streamed catalog a file for each part, else one for each process.
                number = part.number if self._model.streamed else jax.process_index()
                write_table(frame, self._lines / f"{number:05d}.parquet")
            else:
                write_table(frame, self._place(name, part.number))

    def finish(self, plan: Plan) -> None:
        """Write what the parts add up to, and what does not grow with the catalog."""
        alone, streamed = jax.process_count() == 1, self._model.streamed
        for name, frame in self._flows.items():
            # The items of a streamed part are summed up by themselves, those in memory over all devices.
            own = frame if streamed else own_flows(frame, first=is_first())
            write_table(own, self._folder / f"{name}.parquet" if alone else self._unfinished(name))
        if is_first():
            for name, frame in plan.shared_frames():
                write_table(frame, self._folder / f"{name}.parquet")
            self._write_capacity_exceptions(plan)
        gather({"parts": "written"})
        if is_first() and not alone:
            for part in sorted(self._parts.glob("*")):
                _put_together(part, self._folder / "plan" / f"{part.name}.parquet")
            shutil.rmtree(self._parts, ignore_errors=True)
        if is_first() and self._lines.is_dir():
            self._bind_orders()
        gather({"plan": "written"})

    def _bind_orders(self) -> None:
        """Change the orders of all parts by the rules of vendors for whole orders; their lines are held in memory."""
        parts = {path.name: pl.read_parquet(path, glob=False) for path in sorted(self._lines.glob("*.parquet"))}
        instance = self._model.instance
        decided, whole = whole_orders(instance, pl.concat(parts.values()), instance.census.rhythms)
        write_table(whole_order_frame(whole), self._folder / f"{VENDOR_ORDERS}.parquet")
        files = {self._folder / ORDERS / f"part-{name}": [lines] for name, lines in parts.items()}
        if not self._model.streamed:
            files = {self._folder / f"{ORDERS}.parquet": list(parts.values())}
        for path, lines in files.items():
            orders = pl.read_parquet(path, glob=False)
            write_table(with_decided(orders, pl.concat(lines), decided), path)
        shutil.rmtree(self._lines)

    def _write_capacity_exceptions(self, plan: Plan) -> None:
        """Exceptions of the capacities of a streamed catalog, which no part of it can tell, as a part of their own."""
        model, options = self._model, self._model.config.exceptions
        if model.streamed and self._earlier is not None and options is not None:
            prices = (np.asarray(plan.solution.prices), self._earlier)
            found = capacity_exceptions(model.instance, plan.holdout.usage, prices, options)
            for name, frame in with_names(model.instance, [("plan/exceptions", found)]):
                write_table(frame, self._place(name, model.store.parts))

    def _place(self, name: str, part: int) -> Path:
        if self._model.streamed:
            return self._folder / name / f"part-{part:05d}.parquet"
        return self._folder / f"{name}.parquet" if jax.process_count() == 1 else self._unfinished(name)

    def _unfinished(self, name: str) -> Path:
        """Where this process writes its rows of a table that is to be one file."""
        return self._parts / Path(name).name / f"{jax.process_index():05d}.parquet"


def _put_together(part: Path, target: Path) -> None:
    """One table of the parts in a folder."""
    name, files = f"plan/{target.stem}", sorted(part.glob("*.parquet"))
    if name in ORDER:
        write_table(merged_flows([pl.read_parquet(file, glob=False) for file in files], name), target)
        return
    unfinished = part.with_suffix(".tmp")
    pl.scan_parquet(files, glob=False, hive_partitioning=False).sink_parquet(unfinished)
    unfinished.replace(target)
