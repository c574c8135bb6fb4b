"""Two runs whose data differ in thirteen known ways: every change of an order has its reason, and parts add up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml
from one_node import demand, instance, item, offer
from small_runs import Command, usual_promotion

from meio_jax.config import load_config
from meio_jax.items.attribution import REST, on_the_day, shapley
from meio_jax.items.diff import Diff
from meio_jax.progress import Silent
from meio_jax.replan import Replanner, ReplanOptions
from meio_jax.report.diff_page import write_diff
from meio_jax.runs.run import run_solve
from meio_jax.tables import Tables, write_instance

DAYS = 28
STEPS = {
    "max_steps": 40,
    "min_steps": 40,
    "slack_items": 0,
    "devices": 1,
    "feasibility_steps": 0,
    "probe": False,
    "confirm": False,
}
SCENARIOS = {"train": 32, "per_step": 8, "holdout": 16, "clairvoyant": 0, "unit_values": 0}
NAMES = [f"m{number}" for number in range(13)]
MADE = {
    **dict.fromkeys(("m0", "m1", "m2"), "forecast"),
    **dict.fromkeys(("m3", "m4", "m5", "m6"), "stock"),
    **dict.fromkeys(("m7", "m8"), "costs"),
    "m9": "forecast and stock",
    "m10": "prices",
    **dict.fromkeys(("m11", "m12"), "decisions"),
}


def tables(*, changed: bool) -> Tables:
    """Thirteen items of 10 units a day, lead time 3, with 10 in stock and 10 due on each of the next two days."""
    means = {"m0": 14.0, "m1": 6.0, "m2": 20.0, "m9": 14.0} if changed else {}
    stock = {"m3": 13.0, "m4": 16.0, "m9": 16.0} if changed else {}
    due = {"m5": 4.0, "m6": 16.0} if changed else {}
    # Nothing can be ordered of one vendor in the first week.
    week = {"resource_id": "open", "kind": "vendor", "vendor_id": "w", "measure": "units"}
    limits = [{**week, "bucket": at, "capacity": 0.0 if changed and at == 0 else 1000.0} for at in range(DAYS // 7)]
    # A pack of 25 for single units; a vendor that takes two days longer.
    offers = {"m7": {"pack_size": 25}, "m8": {"lead_time_mean": 5.0}} if changed else {}
    offers["m10"] = {"vendor_id": "w"}
    start = [{"item_id": name, "node_id": "site", "units": stock.get(name, 10.0)} for name in NAMES]
    coming = [
        {"item_id": name, "node_id": "site", "period_due": day, "units": due.get(name, 10.0)}
        for name in NAMES
        for day in (1, 2)
    ]
    site = {"node_id": "site"}
    fixed = {"override_id": "o", "kind": "order", "item_id": "m11", "vendor_id": "v", "period": 0, "units": 35, **site}
    decided = {"overrides": [fixed], "assortment": [{"item_id": "m12", "max_units": 20.0, **site}]} if changed else {}
    return instance(
        [{**item(name, unit_cost=2.0, price=3.0), "name": "Lamp" if name == "m9" else ""} for name in NAMES],
        [{**offer(name, 3, unit_cost=2.0), **offers.get(name, {})} for name in NAMES],
        [row for name in NAMES for row in demand(name, means.get(name, 10.0), days=DAYS)],
        days=DAYS,
        resources=limits,
        on_hand=start,
        on_order=coming,
        **decided,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("runs")
    found = []
    for name in ("a", "b"):
        write_instance(tables(changed=name == "b"), home / f"instance_{name}")
        content = {
            "instance": {"path": str(home / f"instance_{name}")},
            "run": str(home / name),
            "scenarios": SCENARIOS,
            "solve": STEPS,
        }
        (home / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        with usual_promotion():
            run_solve(load_config(home / f"{name}.yaml"), Silent())
        found.append(home / name)
    return found[0], found[1]


@pytest.fixture(scope="module")
def compared(runs: tuple[Path, Path]) -> tuple[Diff, Path]:
    with usual_promotion():
        return write_diff(*runs)


def change(compared: tuple[Diff, Path], name: str) -> int:
    return int(compared[0].frames["orders"].filter(item_id=name)["units_change"].sum())


def parts(compared: tuple[Diff, Path], name: str) -> dict[str, float]:
    own = compared[0].frames["reasons"].filter(item_id=name)
    return dict(own.select("reason", "units").iter_rows())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_parts_add_up_to_the_change(compared: tuple[Diff, Path], name: str) -> None:
    whole = change(compared, name)
    assert whole != 0
    found = parts(compared, name)
    assert sum(found.values()) == pytest.approx(whole, abs=0.01 * abs(whole))
    money = compared[0].frames["reasons"].filter(item_id=name)["cost"].sum()
    assert money == pytest.approx(compared[0].frames["orders"].filter(item_id=name)["cost_change"].sum(), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_reason_is_what_was_changed(compared: tuple[Diff, Path], name: str) -> None:
    """The made reason has nearly all of the change; what no reason explains is a unit or two of rounding."""
    whole, found = change(compared, name), parts(compared, name)
    made = sum(found.get(reason, 0.0) for reason in MADE[name].split(" and "))
    assert made == pytest.approx(whole, abs=max(1.0, 0.1 * abs(whole)))
    assert set(found) <= {*MADE[name].split(" and "), REST}
    assert abs(found.get(REST, 0.0)) <= max(1.0, 0.1 * abs(whole))


@pytest.mark.slow
def test_directions_are_right(compared: tuple[Diff, Path]) -> None:
    """Level of three days after tonight, less what is left tonight (none) and the twenty that are due: 10 before.

    Forty steps leave a level one or two units from the best one.
    """
    more = {name: change(compared, name) for name in NAMES}
    assert more["m0"] == pytest.approx(3 * 14 - 20 - 10, abs=2)
    assert more["m1"] == -10
    assert more["m2"] == pytest.approx(3 * 20 - 20 - 10, abs=2)
    assert more["m3"] == pytest.approx(-3, abs=2)
    assert more["m4"] == pytest.approx(-6, abs=1)
    assert more["m5"] == pytest.approx(12, abs=1)
    assert more["m6"] == -10
    assert more["m7"] == 15
    assert more["m8"] == pytest.approx(20, abs=2)
    assert more["m10"] == -10
    # Thirty in stock and due are more than the room for twenty.
    assert more["m11"] == 35 - 10
    assert more["m12"] == -10
    # 14 a day, 16 in stock: 2 are left tonight, 20 are ordered. Stock first: 6 less, then 16 more; or 12, then 2 less.
    assert more["m9"] == pytest.approx(10, abs=1)
    both = parts(compared, "m9")
    assert both["forecast"] == pytest.approx((12 + 16) / 2, abs=1)
    assert both["stock"] == pytest.approx((-6 - 2) / 2, abs=1)


@pytest.mark.slow
def test_the_folder_and_the_page_have_it(compared: tuple[Diff, Path], meio: Command, runs: tuple[Path, Path]) -> None:
    found, folder = compared
    names = {"orders", "transfers", "targets", "prices", "service", "cost", "reasons"}
    assert {path.stem for path in folder.glob("*.parquet")} == names
    cost = found.frames["cost"].filter(term="total")["change"].item()
    assert cost == pytest.approx(found.frames["cost"].filter(pl.col("term") != "total")["change"].sum(), rel=1e-6)
    page = (folder / "diff.html").read_text(encoding="utf-8")
    for words in ("What changed", "Lamp (m9)", "forecast, units", "decisions, units", "Served as promised"):
        assert words in page, words
    called = meio("diff", *runs, "--items", 0, "--out", folder.parent / "plain")
    assert called.status == 0, called.err
    assert "Largest changes of orders" in called.out
    assert not (folder.parent / "plain" / "reasons.parquet").exists()


@pytest.mark.slow
def test_a_replan_prices_the_overrides_of_its_items(runs: tuple[Path, Path], meio: Command, tmp_path: Path) -> None:
    """As the run did, on the same scenarios; items without overrides have none."""
    pl.DataFrame({"item_id": ["m11"]}).write_csv(tmp_path / "items.csv")
    called = meio("replan", runs[1], "--items", tmp_path / "items.csv", "--steps", 2, "--out", tmp_path / "new")
    assert called.status == 0, called.err
    found = pl.read_parquet(tmp_path / "new" / "overrides.parquet")
    known = pl.read_parquet(runs[1] / "plan" / "overrides.parquet")
    assert found.columns == known.columns
    assert found["override_id"].to_list() == known["override_id"].to_list() == ["o"]
    # Units above what is needed are held until they are sold.
    assert found["cost_a_week"].item() > 0
    assert found["cost_a_week"].item() == pytest.approx(known["cost_a_week"].item(), rel=0.05)
    plain = {"items": pl.DataFrame({"item_id": ["m0"]})}
    with usual_promotion():
        frames = Replanner(runs[1]).replan(plain, ReplanOptions(steps=2, scenarios=4)).frames
    assert frames["plan/overrides"].is_empty()


@pytest.mark.slow
def test_the_earlier_run_comes_first(meio: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    called = meio("diff", runs[0], tmp_path / "absent")
    assert called.status == 2
    assert "absent" in called.err


def test_parts_are_those_of_shapley() -> None:
    """Two reasons of 2 and 3 that together do 9: the 4 of both are shared."""
    worth = {"": 0.0, "a": 2.0, "b": 3.0, "ab": 9.0}
    found = shapley(("a", "b"), lambda on: {("i", "n"): (worth["".join(sorted(on))], 10 * worth["".join(sorted(on))])})
    assert found["a"]["i", "n"] == pytest.approx((4.0, 40.0))
    assert found["b"]["i", "n"] == pytest.approx((5.0, 50.0))


def test_data_of_an_earlier_day_are_taken_to_the_day() -> None:
    """Two days later what was due on days 1 and 2 is due now, and demand keeps its dates."""
    then = tables(changed=False)
    ramp = then.forecast.with_columns(mean=pl.col("period").cast(pl.Float64))
    moved = then.settings.model_copy(update={"start_date": then.settings.date_of(2)})
    found = on_the_day(then.replace(forecast=ramp), then.replace(settings=moved))
    assert found.on_order.filter(item_id="m0").select("period_due", "units").rows() == [(0, 20.0)]
    own = found.forecast.filter(item_id="m0").sort("period")
    # Past its end the last week is repeated.
    assert own["mean"].to_list() == [*(float(day) for day in range(2, DAYS)), DAYS - 7.0, DAYS - 6.0]
    assert on_the_day(then, then) is then


def test_last_days_of_sale_are_taken_to_the_day() -> None:
    """What could be sold until day 0 or 2 can be sold on this day alone, and all other days are two nearer."""
    then = tables(changed=False)
    old = {"item_id": ["m0"] * 3, "node_id": [then.nodes["node_id"][0]] * 3, "last_period": [0, 2, 5]}
    told = pl.DataFrame({**old, "units": [1.0, 2.0, 4.0]}, schema=then.expiries.schema)
    moved = then.settings.model_copy(update={"start_date": then.settings.date_of(2)})
    found = on_the_day(then.replace(expiries=told), then.replace(settings=moved)).expiries
    assert found.select("last_period", "units").rows() == [(0, 3.0), (3, 4.0)]
