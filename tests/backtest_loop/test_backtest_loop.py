"""The closed loop as a whole: nothing of the future is known, a kill changes nothing, and the tables add up."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from loop_instance import DAYS, ITEMS, loop_config, loop_tables
from polars.testing import assert_frame_equal

from meio_jax.backtest_loop import Backtest, run, run_backtest
from meio_jax.backtest_loop.arms import baseline
from meio_jax.backtest_loop.customers import Ground, ground
from meio_jax.backtest_loop.live import live
from meio_jax.backtest_loop.record import Record
from meio_jax.config.settings import BacktestPart, load_config
from meio_jax.errors import InputError
from meio_jax.report import write_report
from meio_jax.runs.backtests import read_results, read_summary
from meio_jax.tables import Tables, write_table

SECONDS = "seconds"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    folder = tmp_path_factory.mktemp("loop")
    return run_backtest(loop_config(folder), folder / "backtest")


def orders_until(found: Backtest, day: int) -> dict[str, pl.DataFrame]:
    """What every arm ordered and shipped up to a day."""
    tables = read_results(found.folder)
    return {name: tables[name].filter(pl.col("day") <= day) for name in ("orders", "transfers")}


def test_a_spike_in_the_future_moves_no_order(finished: Backtest, tmp_path: Path) -> None:
    """Recorded sales of the last day differ by 500 units: until that day's morning every order is the same."""
    spiked = run_backtest(loop_config(tmp_path, spike=DAYS - 1), tmp_path / "backtest")
    for name, before in orders_until(finished, DAYS - 1).items():
        assert before.height > 0
        assert_frame_equal(before, orders_until(spiked, DAYS - 1)[name])
    sold = [found.lives[0].steps[-1].day.units["demand"] for found in (finished, spiked)]
    assert sold == [4 * len(ITEMS), 4 * len(ITEMS) + 496]


def test_yesterdays_spike_is_known_this_morning(tmp_path: Path) -> None:
    """The same spike a day earlier is in the history that the last morning knows: a baseline orders for it."""
    last = []
    for spike in (None, 1):
        folder = tmp_path / str(spike)
        config = loop_config(folder, spike=spike)
        at = ground(loop_tables(), folder, config.backtest)
        (life,) = live(at, [baseline("echelon_formulas")], DAYS, 1, Record(folder), lambda *_: None)
        last.append(life.steps[-1].orders.filter(item_id="a")["units"].sum())
    assert last[1] > last[0]


def test_a_kill_changes_nothing(finished: Backtest, tmp_path: Path) -> None:
    config, folder = loop_config(tmp_path), tmp_path / "backtest"

    def stop_after_two(day: int, *_: object) -> None:
        if day == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_backtest(config, folder, on_day=stop_after_two)
    assert not (folder / "summary.json").exists()
    # A day that was under way when the power went is no day.
    (folder / "days" / "002" / ".meio.tmp").mkdir(parents=True)
    run_backtest(config, folder, resume=True)
    whole, again = read_results(finished.folder), read_results(folder)
    assert set(whole) == set(again)
    for name, frame in whole.items():
        assert_frame_equal(frame.drop(SECONDS, strict=False), again[name].drop(SECONDS, strict=False))


def test_a_continuation_needs_what_it_began_with(finished: Backtest, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no backtest"):
        run_backtest(loop_config(tmp_path), tmp_path / "elsewhere", resume=True)
    other = loop_config(tmp_path / "other", every=1)
    with pytest.raises(InputError, match=r"backtest\.every"):
        run_backtest(other, finished.folder, resume=True)


def test_digests_are_those_of_the_bytes_that_were_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that changes while a backtest begins is another one for its continuation."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def changed(tables: Tables, folder: Path, options: BacktestPart) -> Ground:
        found = ground(tables, folder, options)
        write_table(tables.items.with_columns(pl.col("unit_cost") + 1), folder / "items.parquet")
        return found

    monkeypatch.setattr(run, "live", stop)
    config = loop_config(tmp_path)
    monkeypatch.setattr(run, "ground", changed)
    with pytest.raises(KeyboardInterrupt):
        run_backtest(config, tmp_path / "backtest")
    monkeypatch.setattr(run, "ground", ground)
    with pytest.raises(InputError, match="instance file items"):
        run_backtest(config, tmp_path / "backtest", resume=True)


def test_a_folder_that_holds_something_is_left_alone(finished: Backtest, tmp_path: Path) -> None:
    config = loop_config(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match=r"letter\.txt"):
        run_backtest(config, tmp_path / "mine", overwrite=True)
    with pytest.raises(InputError, match="--resume"):
        run_backtest(config, finished.folder)
    assert (finished.folder / "summary.json").exists()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_a_finished_backtest_stays_until_another_is_complete(finished: Backtest, tmp_path: Path) -> None:
    folder = tmp_path / "backtest"
    shutil.copytree(finished.folder, folder)
    before, summary = files_of(folder), read_summary(folder)
    config = loop_config(tmp_path, days=1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_backtest(config, folder, overwrite=True, on_day=stop)
    assert read_summary(folder) == summary
    assert before.items() <= files_of(folder).items()
    run_backtest(config, folder, resume=True)
    assert read_summary(folder)["days"] == 1
    assert not [name for name in files_of(folder) if name.startswith((".next", "days/001"))]
    # Its plans say where they and their mornings are now.
    (plan,) = (folder / "plans").iterdir()
    assert json.loads((plan / "instance.json").read_text())["path"] == str(folder / "mornings" / "000")
    assert load_config(plan / "config.yaml").run == plan
    assert write_report(plan).is_file()


DAMAGES = {
    "summary {}": ("summary.json", "{}"),
    "summary []": ("summary.json", "[]"),
    "summary cut off": ("summary.json", '{"days": 3, "ar'),
    "daily cut off": ("results/daily.parquet", "PAR1"),
    "decision {}": ("days/001/meio/decision.json", "{}"),
    "decision cut off": ("days/001/meio/decision.json", '{"how'),
    "orders cut off": ("days/001/meio/orders.parquet", "PAR1"),
    "identity []": ("backtest.json", "[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backtest_is_told_in_one_line(finished: Backtest, tmp_path: Path, damage: str) -> None:
    name, content = DAMAGES[damage]
    folder = tmp_path / "backtest"
    shutil.copytree(finished.folder, folder)
    (folder / name).write_text(content, encoding="utf-8")
    (folder / "report.html").unlink(missing_ok=True)
    config = loop_config(tmp_path)
    shown = name.startswith(("summary", "results"))
    command = (lambda: write_report(folder)) if shown else (lambda: run_backtest(config, folder, resume=True))
    with pytest.raises(InputError) as found:
        command()
    assert len(str(found.value).splitlines()) == 1
    assert "backtest" in str(found.value)
    assert not (folder / "report.html").exists()


def test_the_report_of_an_unfinished_backtest_says_how_to_go_on(finished: Backtest, tmp_path: Path) -> None:
    folder = tmp_path / "backtest"
    shutil.copytree(finished.folder, folder)
    (folder / "summary.json").unlink()
    with pytest.raises(InputError, match="--resume"):
        write_report(folder)


def test_tables_add_up(finished: Backtest) -> None:
    tables, summary = read_results(finished.folder), read_summary(finished.folder)
    daily = tables["daily"]
    arms = ["meio", "meio_steady", "national_two_day", "independent_sites", "echelon_formulas"]
    assert daily["arm"].unique(maintain_order=True).to_list() == arms
    assert daily.group_by("arm").len()["len"].unique().to_list() == [DAYS]
    for life in finished.lives:
        own = daily.filter(arm=life.name)
        total = life.outcome.replications.row(0, named=True)
        assert own["total"].sum() == pytest.approx(total["total"] - total["terminal"])
        assert own["demand"].sum() == 4 * len(ITEMS) * DAYS
        bought = tables["orders"].filter(arm=life.name)
        assert bought["units"].sum() == total["purchased"]
        assert (bought["units"] % 4 == 0).all()
        assert tables["capacity_by_day"].filter(arm=life.name).height == DAYS
    assert tables["solves"].filter(arm="meio")["how"].to_list() == ["cold", "levels", "warm"]
    assert tables["nervousness"].select("arm", "day").rows() == [("meio", 2), ("meio_steady", 2)]
    for name in ("meio", "meio_steady"):
        assert 0 < summary["arms"][name]["nervousness_quantities"] < 2
        assert 0 <= summary["arms"][name]["nervousness_orders"] <= 1
    assert summary["arms"]["national_two_day"]["nervousness_quantities"] is None
    assert set(summary["differences"]) == set(arms[1:])
    assert json.loads((finished.folder / "summary.json").read_text(encoding="utf-8"))["customers"] == "recorded"


def test_old_mornings_and_plans_go(finished: Backtest) -> None:
    kept = {kind: sorted(path.name for path in (finished.folder / kind).iterdir()) for kind in ("mornings", "plans")}
    assert kept == {"mornings": ["000", "002"], "plans": ["000", "002"]}


def test_the_report_of_a_backtest_is_a_page_of_its_own(finished: Backtest) -> None:
    page = write_report(finished.folder).read_text(encoding="utf-8")
    for words in ("Backtest", "meio against national_two_day", "Cost of the day", "Paired by item", "storage"):
        assert words in page, words
    assert f"{finished.summary['arms']['meio']['total']:,.0f}" in page
    # Written again in its own place, and nowhere else.
    write_report(finished.folder)
    with pytest.raises(InputError, match=r"summary\.json"):
        write_report(finished.folder, finished.folder / "summary.json")
