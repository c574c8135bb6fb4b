"""What a planner knows of demand: forecasts by date of issue, none of them early; and demand itself."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from loop_instance import DAYS, ITEMS, START, loop_config, loop_tables

from meio_jax.backtest import Execution, Options, window
from meio_jax.backtest_loop import run_backtest
from meio_jax.backtest_loop.issued import read_issued
from meio_jax.backtest_loop.knowledge import OwnForecast, PerfectForecast
from meio_jax.backtest_loop.recorded import recorded_table
from meio_jax.errors import InputError
from meio_jax.runs.backtests import read_summary
from meio_jax.tables import Tables, read_instance

HORIZON = 14
PLACES = {"meio": "", "meio_clairvoyant": "clairvoyant"}
NO_ORDERS = pl.DataFrame(schema={"item_id": str, "vendor_id": str, "node_id": str, "units": float})
NO_TRANSFERS = pl.DataFrame(schema={"item_id": str, "from_node": str, "to_node": str, "units": float})


def day(number: int) -> datetime.date:
    return START + datetime.timedelta(days=number)


def issued(means: dict[int, float], length: int = HORIZON) -> pl.DataFrame:
    """A forecast per day of issue: the same mean for every item, one more on each day ahead."""
    return pl.DataFrame(
        [
            {"issue_date": day(made), "item_id": item, "ds": day(made + ahead), "mean": mean + ahead}
            for made, mean in means.items()
            for item in ITEMS
            for ahead in range(length)
        ]
    )


def written(table: pl.DataFrame, folder: Path) -> Path:
    path = folder / "forecasts.csv"
    table.write_csv(path)
    return path


def morning(number: int) -> Tables:
    return window(loop_tables(), number, HORIZON)


def means(tables: Tables, item: str = "a") -> list[float]:
    return tables.forecast.filter(item_id=item).sort("period")["mean"].to_list()


def test_every_morning_knows_the_latest_forecast_and_none_that_came_later(tmp_path: Path) -> None:
    known = read_issued(written(issued({0: 10.0, 2: 500.0}), tmp_path), morning(0))
    seen = [known.seen(number, morning(number)) for number in range(4)]
    assert [means(one)[0] for one in seen] == [10.0, 11.0, 500.0, 501.0]
    assert all(str(one.settings.forecast) == "mean" for one in seen)
    assert all(len(means(one)) == HORIZON for one in seen)
    # On day 1 the last day of the horizon is past the end of the forecast of day 0: the same day a week before.
    assert means(seen[1])[-2:] == [10.0 + HORIZON - 1, 10.0 + HORIZON - 7]


def test_forecasts_older_than_the_first_morning_serve_until_there_is_a_newer_one(tmp_path: Path) -> None:
    known = read_issued(written(issued({-3: 10.0, -9: 900.0}), tmp_path), morning(0))
    assert [issue.date for issue in known.issues] == [day(-3)]
    assert means(known.seen(0, morning(0)))[0] == 13.0


def test_quantiles_and_paths_by_date_of_issue(tmp_path: Path) -> None:
    base = issued({0: 4.0, 1: 8.0})
    quantiles = base.select("issue_date", pl.col("item_id").alias("unique_id"), "ds", "mean").with_columns(
        pl.col("mean").alias("q0.1"), (pl.col("mean") + 2).alias("q0.9")
    )
    known = read_issued(written(quantiles.drop("mean"), tmp_path), morning(0))
    seen = known.seen(1, morning(1))
    assert str(seen.settings.forecast) == "quantiles"
    first = seen.forecast.filter(unique_id="b").sort("ds").row(0, named=True)
    assert (first["ds"], first["q0.1"], first["q0.9"]) == (day(1), 8.0, 10.0)

    paths = base.with_columns(path=pl.lit(0)).rename({"mean": "units"})
    paths = pl.concat([paths, paths.with_columns(path=pl.lit(1), units=pl.col("units") + 1)])
    known = read_issued(written(paths, tmp_path), morning(0))
    seen = known.seen(1, morning(1)).forecast.filter(item_id="c", period=0).sort("path")
    assert seen["units"].to_list() == [8.0, 9.0]


def test_ids_of_digits_keep_their_zeros(tmp_path: Path) -> None:
    path = tmp_path / "actual.csv"
    path.write_text("item_id,ds,units\n007,2025-06-02,3\n", encoding="utf-8")
    assert recorded_table(path, "backtest.actual").rows() == [("007", START, 3)]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (issued({1: 4.0}), ["issue_date", str(START), "add an earlier forecast"]),
        (issued({0: 4.0}).drop("ds"), ["column ds: found missing", "add the columns"]),
        (
            issued({0: 4.0}).filter(pl.col("item_id") != "b"),
            [f"issue_date={START}", "nothing of 1 items, the first of them b"],
        ),
        (issued({0: -4.0}), [f"issue_date={START}", "mean"]),
        (issued({0: 4.0}).with_columns(ds=pl.lit("soon")), ["row 1", "'soon'", "a date (YYYY-MM-DD)"]),
        (
            issued({0: 4.0}).with_columns(ds=pl.col("ds") - pl.duration(days=1)),
            [f"issue_date={START}", "leave out days that lie before it"],
        ),
    ],
)
def test_errors_name_the_file_and_the_issue(table: pl.DataFrame, told: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_issued(written(table, tmp_path), morning(0))
    text = str(caught.value)
    assert all(one in text for one in ["forecasts.csv", *told]), text


def test_demand_itself_is_known_item_by_item(tmp_path: Path) -> None:
    """What the world will ask for on the days that are left, then the mean of what is expected."""
    world = Execution(loop_tables(), DAYS, seed=1, options=Options())
    coming = world.coming()
    seen = PerfectForecast(coming, OwnForecast()).seen(1, morning(1))
    assert [means(seen, item)[: DAYS - 1] for item in ITEMS] == coming[1:].T.tolist()
    assert set(seen.forecast["law"]) == {"fixed"}
    rest = means(seen)[DAYS - 1 :]
    sold = loop_tables().forecast.filter(item_id="a")["units"].mean()
    np.testing.assert_allclose(np.mean(rest), sold, rtol=0.2)
    for number in range(DAYS):
        world.execute(NO_ORDERS, NO_TRANSFERS)
        world.finish()
        assert world.sales[number].tolist() == coming[number].tolist()


@pytest.mark.slow
def test_a_backtest_with_own_forecasts_and_a_planner_that_knows_demand(tmp_path: Path) -> None:
    """Ours plans by the forecasts given, the other by what will be asked for: 500 units on the second day."""
    path = written(issued({0: 4.0}, length=3), tmp_path)
    config = loop_config(tmp_path, spike=1, forecasts=path, clairvoyant=True, steady=None, baselines=())
    found = run_backtest(config, tmp_path / "backtest")
    assert list(read_summary(found.folder)["arms"]) == ["meio", "meio_clairvoyant"]
    planned = {arm: read_instance(found.folder / place / "mornings" / "000") for arm, place in PLACES.items()}
    assert means(planned["meio"])[:2] == [4.0, 5.0]
    assert means(planned["meio_clairvoyant"])[:2] == [4.0, 500.0]
    stock = [one.on_hand.sort("item_id", "node_id")["units"].to_list() for one in planned.values()]
    assert stock[0] == stock[1]
