"""The value of a capacity against newsvendors that share it, whose least cost at any capacity is known."""

from pathlib import Path

import jax
import pytest
from season import DAYS, DOOR, best_cost, best_price, season_tables

from meio_jax.config import Config
from meio_jax.progress import Silent
from meio_jax.runs.run import run_solve
from meio_jax.tables import write_instance
from meio_jax.whatif import whatif_run

# A price follows from shares of scenarios in which demand is met: with 65,536 of them its standard error is about 1 %.
SAMPLED = 0.04


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("season")
    config = Config.model_validate(
        {
            "instance": {"path": str(write_instance(season_tables(), home / "instance"))},
            "run": str(home / "run"),
            "scenarios": {"train": 65_536, "per_step": 512, "holdout": 16_384, "clairvoyant": 0},
            "solve": {"max_steps": 200, "min_steps": 200, "capacity_margin": 0.0, "feasibility_steps": 0, "devices": 1},
            "dual": {"options": {"step_size": 1.0, "penalty": 3.0}},
            "warm": {"max_steps": 150, "learning_rate": 0.05},
        }
    )
    with jax.numpy_dtype_promotion("standard"):
        run_solve(config, Silent())
    return config.run


@pytest.mark.slow
def test_the_price_is_the_slope_of_the_least_cost(run: Path) -> None:
    found = whatif_run(run, "door", "+1%")
    step = 0.01 * DOOR
    slope = (best_cost(DOOR + step) - best_cost(DOOR - step)) / 2
    assert found.change == pytest.approx(slope, rel=SAMPLED)
    assert found.buckets[0].price == pytest.approx(best_price(DOOR), rel=SAMPLED)
    assert [found.kind, found.measure, found.buckets[0].days] == ["inbound", "m³ a day", DAYS]
    assert found.cost == pytest.approx(best_cost(DOOR), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1])
def test_first_order_is_too_good_for_more_and_too_good_for_less(run: Path, factor: float) -> None:
    """The least cost is convex in the capacity, so that the tangent lies below it."""
    found = whatif_run(run, "door", str(DOOR * factor))
    true = best_cost(DOOR * factor) - best_cost(DOOR)
    assert found.change < true
    assert found.buckets[0].says == ("at most" if factor > 1 else "at least")


@pytest.mark.slow
def test_a_re_solve_finds_what_is_known(run: Path) -> None:
    with jax.numpy_dtype_promotion("standard"):
        found = whatif_run(run, "door", "-10%", resolve=True)
    true = best_cost(0.9 * DOOR) - best_cost(DOOR)
    check = found.check
    assert check is not None
    assert check.lagrangian == pytest.approx(true, rel=0.1)
    assert check.prices_after[0] == pytest.approx(best_price(0.9 * DOOR), rel=SAMPLED)
    assert check.low == found.change < true < check.high
    assert abs(check.drift) < 0.2 * true


def test_what_is_not_scarce_is_worth_nothing(run: Path) -> None:
    for change in ("+50%", "-5%"):
        found = whatif_run(run, "door_units", change)
        assert found.change == 0
        assert not found.beyond_room
    assert whatif_run(run, "door_units", "-95%").beyond_room == [0]
