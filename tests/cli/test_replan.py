"""Items planned again at a run's prices: by the command and from Python, on the tiny run."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers import close
from small_runs import Command, Finished, usual_promotion
from tiny import tiny_frames

from meio_jax.errors import InputError
from meio_jax.items import replan as replan_module
from meio_jax.items.diff import diff_runs
from meio_jax.replan import Replanned, Replanner, ReplanOptions, price_warnings

# A sum of float32 numbers over items and scenarios, put together in another order.
SUMS = 1e-4
ALL = ReplanOptions(steps=2, scenarios=6)
LONGER = ReplanOptions(steps=20, scenarios=24)


@pytest.fixture(scope="module")
def open_run(finished: Finished) -> Replanner:
    return Replanner(finished.folder)


def planned(run: Replanner, changes: dict[str, pl.DataFrame], options: ReplanOptions = ALL) -> Replanned:
    with usual_promotion():
        return run.replan(changes, options)


def rows(name: str, *items: str) -> pl.DataFrame:
    frame = tiny_frames()[name]
    return frame.filter(pl.col("item_id").is_in(items))


def wanted(factor: float, *items: str) -> dict[str, pl.DataFrame]:
    """So much demand for items of which none may be short: as they are, buying more of them than there is costs more
    than it saves within two weeks."""
    dear = rows("items", *items).with_columns(pl.col("lost_sale_cost") * 20, pl.col("backorder_cost") * 20)
    return {"items": dear, "forecast": rows("forecast", *items).with_columns(pl.col("mean") * factor)}


def stocked(units: float, *items: str) -> dict[str, pl.DataFrame]:
    return {"on_hand": rows("on_hand", *items).with_columns(units=pl.lit(units))}


def named(*items: str) -> dict[str, pl.DataFrame]:
    return {"items": pl.DataFrame({"item_id": items})}


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mean_target(found: Replanned, item: str) -> float:
    return found.frames["plan/targets"].filter(pl.col("item_id") == item)["target"].mean()


@pytest.mark.slow
def test_all_items_together_cost_what_the_run_says(open_run: Replanner, finished: Finished) -> None:
    """The run's own certificate and price table, made by other code, on the same holdout scenarios."""
    found = planned(open_run, named("A", "B", "C"))
    certificate = json.loads((finished.folder / "certificate.json").read_text(encoding="utf-8"))
    prices = pl.read_parquet(finished.folder / "prices.parquet")
    days = {"spend": 1.0, "service": None}
    charge = 0.0
    wanted = np.asarray(finished.plan.holdout.usage.wanted, float)
    for row in prices.iter_rows(named=True):
        column = finished.plan.model.instance.ids.resources.index(row["resource_id"])
        scale = days.get(row["kind"], 7.0)
        if scale is None:  # a floor: what is missing to it is charged
            charge += row["price"] * (row["capacity"] - row["usage"]) * wanted[row["bucket"], column]
        else:
            charge += row["price"] * row["usage"] * scale
    assert charge != 0
    expected = certificate["holdout_objective"] + charge
    close(found.items["cost_before"].sum(), expected, tolerance=SUMS, what="all items at the run's levels")


@pytest.mark.slow
def test_levels_do_not_get_worse_and_nothing_else_is_planned(open_run: Replanner) -> None:
    found = planned(open_run, named("B", "C"))
    assert found.items["item_id"].to_list() == ["B", "C"]
    assert (found.items["cost_after"] <= found.items["cost_before"]).all()
    for name, frame in found.frames.items():
        assert set(frame["item_id"]) <= {"B", "C"}, name
    assert found.seconds > 0


def test_levels_that_stay_are_those_of_the_run(
    open_run: Replanner, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the search finds nothing better, targets are those of the run, and no capacity is used otherwise."""
    monkeypatch.setattr(replan_module, "refine", lambda around, one, now, pace, chunks: now)
    found = planned(open_run, named("A", "B", "C"))
    kept = pl.read_parquet(finished.folder / "plan/targets.parquet")
    assert found.frames["plan/targets"]["target"].to_list() == pytest.approx(kept["target"].to_list(), rel=1e-5)
    for name in ("orders", "transfers"):
        kept = pl.read_parquet(finished.folder / f"plan/{name}.parquet")
        assert found.frames[f"plan/{name}"].equals(kept), name
    assert found.usage["change"].abs().max() == 0
    assert not found.warnings


@pytest.mark.slow
def test_more_demand_needs_more_stock(open_run: Replanner, finished: Finished) -> None:
    before = contents(finished.folder)
    less, same, more = (planned(open_run, wanted(factor, "B"), LONGER) for factor in (0.5, 1.0, 2.0))
    assert mean_target(more, "B") > 1.5 * mean_target(same, "B")
    assert mean_target(less, "B") < 0.8 * mean_target(same, "B")
    bought = [one.frames["plan/orders"]["units"].sum() for one in (less, same, more)]
    assert bought[0] <= bought[1] <= bought[2]
    assert bought[0] < bought[2]
    assert contents(finished.folder) == before


def test_orders_are_packs_and_at_least_the_minimum(open_run: Replanner) -> None:
    found = planned(open_run, wanted(3.0, "A", "B", "C") | stocked(0.0, "A", "B", "C"), LONGER)
    terms = tiny_frames()["offers"].select("item_id", "vendor_id", "node_id", "pack_size", "min_order")
    orders = found.frames["plan/orders"].join(terms, on=["item_id", "vendor_id", "node_id"], how="left")
    assert set(orders["item_id"]) == {"A", "B", "C"}
    assert (orders["units"] % orders["pack_size"] == 0).all()
    assert (orders["units"] >= orders["min_order"]).all()
    assert found.frames["plan/transfers"]["units"].dtype.is_integer()
    assert found.frames["plan/targets"]["target_units"].dtype.is_integer()


def test_stock_replaces_orders(open_run: Replanner) -> None:
    stock = pl.DataFrame({"item_id": ["B"], "node_id": ["dc1"], "units": [900.0]})
    assert planned(open_run, {"on_hand": stock}).frames["plan/orders"].is_empty()
    assert not planned(open_run, named("B")).frames["plan/orders"].is_empty()


@pytest.mark.slow
def test_a_new_item_starts_from_nothing(open_run: Replanner) -> None:
    new = {name: rows(name, "C").with_columns(item_id=pl.lit("N")) for name in ("items", "offers", "forecast")}
    new["offers"] = new["offers"].with_columns(vendor_id=pl.lit("another vendor"))
    found = planned(open_run, {**new, "on_hand": rows("on_hand", "A").with_columns(units=pl.lit(5.0))})
    by_item = {row["item_id"]: row for row in found.items.iter_rows(named=True)}
    assert by_item["N"]["cost_before"] is None
    assert by_item["A"]["cost_before"] is not None
    assert mean_target(found, "N") > 0
    assert "another vendor" in found.frames["plan/orders"]["vendor_id"].to_list()


@pytest.mark.slow
def test_prices_that_would_move_are_named(open_run: Replanner) -> None:
    options = ReplanOptions(steps=2, scenarios=6, material=0.005)
    flood = wanted(20.0, "B") | stocked(900.0, "B")
    found = planned(open_run, flood, options)
    risen = [line for line in found.warnings if "would rise" in line]
    assert any(line.startswith("outbound, bucket 0") for line in risen), found.warnings
    share = found.usage.filter((pl.col("resource_id") == "outbound") & (pl.col("bucket") == 0))
    # 40 units of 3 kg a day are wanted of a node that ships 90 kg a week.
    assert share["change"][0] > 0.9
    assert not planned(open_run, flood, ReplanOptions(steps=2, scenarios=6, material=1e9)).warnings


def test_a_price_moves_only_where_there_is_one_or_will_be() -> None:
    def warned(**row: float) -> list[str]:
        frame = pl.DataFrame([{"resource_id": "dock", "kind": "inbound", "bucket": 0, **row}])
        return price_warnings(frame, 0.01)

    assert "would rise" in warned(change=0.05, use=0.99, price=2.0)[0]
    assert "would rise" in warned(change=0.05, use=0.97, price=0.0)[0]
    assert "would fall" in warned(change=-0.05, use=1.0, price=2.0)[0]
    assert not warned(change=0.05, use=0.5, price=0.0), "there is room"
    assert not warned(change=0.005, use=1.0, price=2.0), "too little"
    assert not warned(change=-0.05, use=0.5, price=0.0), "it was free before"


def test_a_catalog_read_by_block_gives_the_same(
    finished: Finished, open_run: Replanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replan_module, "_IN_MEMORY", 1)
    ours, theirs = planned(Replanner(finished.folder), named("B")), planned(open_run, named("B"))
    assert ours.items.equals(theirs.items)
    assert ours.frames["plan/targets"].equals(theirs.frames["plan/targets"])


def test_the_command_writes_tables_beside_the_run(meio: Command, finished: Finished, tmp_path: Path) -> None:
    changes = tmp_path / "changes"
    changes.mkdir()
    for name, frame in (wanted(20.0, "B") | stocked(900.0, "B")).items():
        frame.write_csv(changes / f"{name}.csv")
    called = meio("replan", finished.folder, "--items", changes, "--out", tmp_path / "out", "--steps", 2)
    assert called.status == 0, called.err
    assert "Planned 1 items again" in called.out
    assert "with the run's levels" in called.out
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        "targets.parquet", "orders.parquet", "transfers.parquet", "items.parquet", "usage.parquet"
    }  # fmt: skip
    assert pl.read_parquet(tmp_path / "out/targets.parquet")["item_id"].unique().to_list() == ["B"]
    assert "warning: " in called.err
    assert not (finished.folder / "replan").exists()


DAMAGE = {
    "unknown item": ("forecast.csv", rows("forecast", "C").with_columns(item_id=pl.lit("Z")), "'Z'"),
    "a day too few": ("forecast.csv", rows("forecast", "C").head(3), "C"),
    "no column": ("forecast.csv", rows("forecast", "C").drop("mean"), "column mean"),
    "no items": ("items.csv", rows("items"), "at least one item"),
    "no item column": ("on_hand.csv", rows("on_hand", "C").drop("item_id"), "item_id"),
    "negative stock": ("on_hand.csv", rows("on_hand", "C").with_columns(units=pl.lit(-1.0)), "units"),
    "unknown node": ("on_hand.csv", rows("on_hand", "C").with_columns(node_id=pl.lit("moon")), "'moon'"),
    "another file": ("changes.csv", rows("forecast", "C"), "a folder of item tables, or a file named"),
    "a network table": ("lanes.csv", tiny_frames()["lanes"], "a folder of item tables, or a file named"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_with_the_tables_is_said(meio: Command, finished: Finished, tmp_path: Path, damage: str) -> None:
    file, frame, message = DAMAGE[damage]
    frame.write_csv(tmp_path / file)
    called = meio("replan", finished.folder, "--items", tmp_path / file, "--out", tmp_path / "out")
    assert called.status == 2, called.out
    assert message in called.err
    assert "Traceback" not in called.err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_finished_run_is_refused(meio: Command, finished: Finished, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    pl.DataFrame({"item_id": ["A"]}).write_csv(items)
    called = meio("replan", tmp_path, "--items", items)
    assert called.status == 2
    assert "config.yaml" in called.err
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    shutil.rmtree(run / "checkpoints")
    called = meio("replan", run, "--items", items)
    assert called.status == 2
    assert "no checkpoint" in called.err
    shutil.copytree(finished.folder / "checkpoints", run / "checkpoints")
    (run / "prices.parquet").unlink()
    called = meio("replan", run, "--items", items)
    assert called.status == 2
    assert "prices.parquet" in called.err
    called = meio("replan", finished.folder, "--items", tmp_path / "nothing.csv")
    assert called.status == 2
    assert "nothing.csv" in called.err


def test_an_instance_that_moved_or_changed_is_noticed(finished: Finished, tiny_folder: Path, tmp_path: Path) -> None:
    run, instance = tmp_path / "run", tmp_path / "instance"
    shutil.copytree(finished.folder, run)
    shutil.copytree(tiny_folder, instance)
    about = json.loads((run / "instance.json").read_text(encoding="utf-8"))
    (run / "instance.json").write_text(json.dumps({**about, "path": str(tmp_path / "gone")}), encoding="utf-8")
    with pytest.raises(InputError, match="--instance"):
        Replanner(run)
    assert Replanner(run, instance).folder == instance
    lanes = pl.read_parquet(instance / "lanes.parquet")
    lanes.with_columns(pl.col("cost_per_unit") * 2).write_parquet(instance / "lanes.parquet")
    with pytest.raises(InputError, match=r"lanes.parquet.*another table than the run had"):
        Replanner(run, instance)


def test_an_instance_that_has_changed_since_the_run_is_told(
    finished: Finished, open_run: Replanner, tiny_folder: Path, tmp_path: Path
) -> None:
    """By a re-plan, whose other tables are those of today, and by a diff that plans nothing again."""
    assert open_run.notes == []
    instance = tmp_path / "instance"
    shutil.copytree(tiny_folder, instance)
    pl.read_parquet(instance / "on_hand.parquet").with_columns(pl.col("units") + 1).write_parquet(
        instance / "on_hand.parquet"
    )
    (note,) = Replanner(finished.folder, instance).notes
    assert note.startswith("The instance has changed since this plan was made: on_hand.parquet.")
    assert diff_runs(finished.folder, finished.folder, items=0).notes == []
    (note,) = diff_runs(finished.folder, finished.folder, instances=(None, instance), items=0).notes
    assert "on_hand.parquet" in note
