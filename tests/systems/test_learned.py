"""Training of a network: continued to the bit, from another network, refused where it is another training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

import meio_jax as mj
from meio_jax.errors import InputError
from meio_jax.progress import AbstractProgress, Step
from meio_jax.tables import Tables

PERIODS = 8
OPTIONS = mj.LearnOptions(steps=5, hidden=(4,), save_every=2)
SEARCH = {"max_steps": 2, "min_steps": 2, "slack_items": 0, "feasibility_steps": 0, "confirm": False, "probe": False}
SCENARIOS = {"train": 16, "per_step": 4, "holdout": 4, "clairvoyant": 0, "unit_values": 0}


class Stopped(AbstractProgress):
    """Asks to stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.costs = steps, []

    def update(self, step: Step) -> None:
        self.costs.append(step.cost)

    def should_stop(self) -> bool:
        return len(self.costs) >= self.steps


def two_items() -> Tables:
    names = ["short", "long"]
    settings = {"name": "two", "periods": PERIODS, "bucket_periods": PERIODS, "forecast": "mean"}
    return build(
        Setting(
            settings | {"terminal_credit": 0.0, "stationary_targets": True, "ordering": "morning"},
            [Site("site")],
            [Item(name, {"site": 1.0}, 1.0, 9.0) for name in names],
            [Offer(name, "site", lead) for name, lead in zip(names, (1, 3), strict=True)],
            mean_forecast({name: law("poisson", 5.0) for name in names}, PERIODS),
        )
    )


def trained(options: mj.LearnOptions = OPTIONS, **more: object) -> object:
    scenarios, search = mj.ScenarioOptions(**SCENARIOS), mj.SearchOptions(**SEARCH)
    return mj.learn_network(two_items(), options=options, search=search, scenarios=scenarios, **more)


@pytest.mark.slow
def test_training_is_continued_to_the_bit(tmp_path: Path) -> None:
    whole = trained()
    trained(folder=tmp_path, progress=Stopped(3))
    again = Stopped(99)
    assert trained(folder=tmp_path, resume=True, progress=again) == whole
    # Three of the five steps were in the folder.
    assert len(again.costs) == 2
    with pytest.raises(InputError, match="rate"):
        trained(replace(OPTIONS, rate=0.1), folder=tmp_path, resume=True)
    with pytest.raises(InputError, match="start"):
        trained(start=whole, folder=tmp_path, resume=True)
    # Its range is that of the two items: lead times 1 and 3, lost sales, every period a review.
    np.testing.assert_allclose(whole.least[:3], [1, 1, 1])
    np.testing.assert_allclose(whole.most[:3], [3, 1, 1])
    # From a network that does not move it is that network.
    still = trained(replace(OPTIONS, steps=1, rate=0.0), start=whole)
    np.testing.assert_array_equal(still.vector(), whole.vector())
    assert np.any(whole.vector() != 0)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"hidden": (0,)}, {"rate": -1.0}])
def test_options_that_cannot_be(changes: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(OPTIONS, **changes)
