"""Objects at the door mean what names in a configuration mean, and the names of the package lead to what they say."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float
from tiny import tiny_tables

import meio_jax as mj
from meio_jax.config import Config, make_config
from meio_jax.config.values import Values
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.planner import plan as plan_by_names
from meio_jax.public import NAMES

FEW = {"train": 4, "per_step": 2, "holdout": 4, "clairvoyant": 0}
SHORT = {"max_steps": 3, "min_steps": 3, "feasibility_steps": 0, "slack_items": 0}


class Median(AbstractObjective):
    """A class that no registry knows."""

    weight: float = eqx.field(static=True, default=1.0)

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        return self.weight * jnp.median(costs.total, axis=-1)


@pytest.mark.slow
def test_objects_and_names_are_the_same_plan() -> None:
    tables = tiny_tables()
    with jax.numpy_dtype_promotion("standard"):
        found = mj.plan(
            tables,
            policy=mj.BaseStock(protection=True),
            objective=mj.CVaR(level=0.5),
            dual=mj.AugmentedPrices(step_size=0.2),
            search=mj.SearchOptions(**SHORT),
            scenarios=mj.ScenarioOptions(**FEW),
            seed=3,
        )
        config = make_config(
            policy={"name": "base_stock", "protection": True},
            objective={"name": "cvar", "options": {"level": 0.5}},
            dual={"name": "augmented", "options": {"step_size": 0.2}},
            scenarios=FEW,
            solve=SHORT,
            seed=3,
        )
        named = plan_by_names(tables, config)
    frames, expected = found.frames(), named.frames()
    assert frames.keys() == expected.keys()
    for name in frames.keys() - {"metrics"}:
        assert frames[name].equals(expected[name]), name
    recorded = found.model.config
    assert (recorded.policy, recorded.objective.name, recorded.dual.name) == (config.policy, "cvar", "augmented")
    assert recorded.objective.options == {"level": 0.5, "weight": 1.0}
    # What is recorded names the same objects again.
    again = Values.of(Config.model_validate(recorded.model_dump()))
    assert again == Values(mj.BaseStock(protection=True), mj.CVaR(level=0.5), mj.AugmentedPrices(step_size=0.2))


def test_a_class_that_no_registry_knows_is_recorded_by_its_name() -> None:
    values = Values(mj.BaseStock(), Median(weight=2.0), mj.AugmentedPrices())
    recorded = values.recorded(make_config())
    assert (recorded.objective.name, recorded.objective.options) == ("Median", {"weight": 2.0})


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_names_lead_somewhere(name: str) -> None:
    assert getattr(mj, name) is not None
    assert name in dir(mj)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="read_instance"):
        _ = mj.reed_instance
