"""The service-cost curve: levels that are asked for, floors that move, and points against the Poisson law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from floor_items import floors

from meio_jax.config import make_config
from meio_jax.errors import InputError
from meio_jax.items import curve
from meio_jax.items.curve import TOTAL, Chosen, at_level, chosen_floors, run_curve, service_levels
from meio_jax.progress import Silent
from meio_jax.report import write_report
from meio_jax.runs.data import read_run
from meio_jax.tables import Tables, write_instance

ROWS = [
    {"resource_id": "fill A", "kind": "service", "item_class": "A", "capacity": 0.5},
    {"resource_id": "stock C", "kind": "in_stock", "item_class": "C", "node_group": "front", "capacity": 0.5},
]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return floors({"a": "A", "c": "C"}, ROWS)


def test_levels_run_from_the_lowest_to_the_highest() -> None:
    assert service_levels("0.90:0.99") == pytest.approx(np.linspace(0.90, 0.99, 10))
    assert service_levels("0.9:0.96:0.02") == pytest.approx([0.9, 0.92, 0.94, 0.96])
    assert service_levels("0.9:0.95:0.02") == pytest.approx([0.9, 0.92, 0.94, 0.95])
    assert service_levels("0.9:0.9") == [0.9]


@pytest.mark.parametrize(
    "text",
    [
        *("0.9", "0.99:0.9", "0:0.9", "0.9:1.1", "90:99", "0.9:0.99:0", "a:b", "0.1:0.9:0.001", "0.1:0.2:0.3:0.4"),
        *("inf:inf", "0.5:inf", "nan:0.9", "0.5:nan", "0.5:0.9:inf:", "0.5:0.9:nan", "0.5:0.9:1e-320", "-inf:0.9"),
    ],
)
def test_levels_that_make_no_sense_are_told(text: str) -> None:
    with pytest.raises(InputError, match="LOW:HIGH") as told:
        service_levels(text)
    assert told.value.problems[0].value == text


def test_floors_are_chosen_by_name_kind_class_and_group(tables: Tables) -> None:
    choose = lambda **how: chosen_floors(tables.resources, Chosen(**how))
    assert choose() == ["fill A", "stock C"]
    assert choose(floors=("stock C",)) == ["stock C"]
    assert choose(kind="service") == choose(item_class="A") == ["fill A"]
    assert choose(node_group="front") == ["stock C"]
    for how, option in (({"floors": ("x",)}, "--floor"), ({"item_class": "Z"}, "--item-class")):
        with pytest.raises(InputError, match="the floors are: fill A, stock C") as told:
            choose(**how)
        assert told.value.problems[0].column == option


def test_only_the_chosen_floors_move(tables: Tables) -> None:
    moved = at_level(tables, ["fill A"], 0.9).resources
    assert dict(moved.select("resource_id", "capacity").iter_rows()) == {"fill A": 0.9, "stock C": 0.5}
    none = floors({"a": "A"}, [])
    assert chosen_floors(none.resources, Chosen()) == []
    (row,) = at_level(none, [], 0.9).resources.to_dicts()
    assert (row["resource_id"], row["kind"], row["capacity"], row["item_class"]) == (TOTAL, "service", 0.9, None)


@pytest.mark.slow
def test_service_costs_more_and_more(tables: Tables, tmp_path: Path) -> None:
    write_instance(tables, tmp_path / "shop")
    few = {"train": 32, "per_step": 16, "holdout": 64, "clairvoyant": 0, "unit_values": 0}
    short = {"max_steps": 40, "min_steps": 40, "slack_items": 0, "devices": 1}
    config = make_config(instance={"path": tmp_path / "shop"}, run=tmp_path / "run", scenarios=few, solve=short)
    folder, chosen = tmp_path / "curve", Chosen(floors=("fill A",))
    found = run_curve(config, folder, [0.7, 0.9], chosen, Silent())
    assert found["service"].to_list() == [0.7, 0.9]
    assert found["achieved"][1] > found["achieved"][0]
    assert (found["achieved_low"] < found["achieved"]).all()
    assert found["stock_units"][1] > found["stock_units"][0]
    terms = pl.sum_horizontal([name for name in found.columns if name.startswith("cost_")][2:])
    np.testing.assert_allclose(found.select(terms).to_series(), found["cost"], rtol=1e-6)
    # Finished points stay: going on finds both, and writes the same table.
    (folder / "curve.parquet").unlink()
    again = run_curve(config, folder, [0.7, 0.9], chosen, Silent(), resume=True)
    assert again.equals(found)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Service and cost" in page
    assert page.count("<svg") == 5
    with pytest.raises(InputError, match="a curve"):
        run_curve(config, folder, [0.7, 0.9], chosen, Silent())
    with pytest.raises(InputError, match="as it began"):
        run_curve(config, folder, [0.7, 0.8], chosen, Silent(), resume=True)
    # A new curve takes the place of the finished one, and its points know where they are.
    run_curve(config, folder, [0.8], chosen, Silent(), overwrite=True)
    assert pl.read_parquet(folder / "curve.parquet")["service"].to_list() == [0.8]
    assert [path.name for path in (folder / "points").iterdir()] == ["00"]
    assert read_run(folder / "points" / "00").instance == folder / "instances" / "00"


def test_a_curve_is_private_by_option_and_continued_on_the_same_instance_only(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_end(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(curve, "_solve", told_to_end)
    write_instance(tables, tmp_path / "shop")
    private = {"private": True}
    config = make_config(instance={"path": tmp_path / "shop"}, run=tmp_path / "run", output=private)
    folder, levels = tmp_path / "curve", [0.7, 0.9]
    with pytest.raises(KeyboardInterrupt):
        run_curve(config, folder, levels, Chosen(), Silent())
    assert folder.stat().st_mode & 0o077 == 0
    with pytest.raises(KeyboardInterrupt):
        run_curve(config, folder, levels, Chosen(), Silent(), resume=True)
    dearer = tables.items.with_columns(pl.col("unit_cost") + 1)
    write_instance(tables.replace(items=dearer), tmp_path / "shop", overwrite=True)
    with pytest.raises(InputError, match="instance file items"):
        run_curve(config, folder, levels, Chosen(), Silent(), resume=True)
