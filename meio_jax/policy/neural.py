"""A network shared by the items, which corrects the projected inventory level by the age of what is under way."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.correction import Correction, output
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AGES, AbstractPolicy, AbstractReplenishment, Arrival, StartingPoint, View, shortfall
from meio_jax.policy.projected_level import first_level, level_scale

# Inputs are bounded smoothly: far from what it was trained on, a network goes on as at the border.
_WIDEST = 4.0
# Rounding in the last digits is not outside of what was trained.
_ROUNDING = 1e-4
# Inputs beside the ages: level, stock, its deviation, what comes early, lost demand, lead time twice, demand twice.
_OTHER_INPUTS = 9

INPUTS = AGES + _OTHER_INPUTS
"""Inputs of a network."""
TRAITS = 6
"""What bounds the systems that a network may correct (`traits_of`), and the level."""


class Neural(AbstractReplenishment):
    """Raise expected stock at arrival to `target` (units) plus the `correction` of a network that all items share.

    The network sees the level, what is expected at arrival and how it comes about: what each of the last periods before
    the arrival adds, demand lost until then, lead time, and the spread of demand. It is trained beforehand and does not
    change in a search; levels do. Without a network, and for items unlike those that it was trained on, the order is
    that of the projected level.
    """

    target: Float[Array, "*buckets nodes items"]
    correction: Correction | None = eqx.field(static=True, default=None)

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def sees_ages(self) -> bool:
        return self.correction is not None

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "Neural":
        return cls(first_level(network, block, at))

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "Neural":
        return cls(level_scale(network, block, at))

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        level, stock = self._level(view)
        return level - stock

    def order(self, view: View) -> Float[Array, "sources batch"]:
        return view.split(shortfall(*self._level(view)))

    def _level(self, view: View) -> tuple[Float[Array, "rows batch"], Float[Array, "rows batch"]]:
        """The level of the day, and the stock that is expected at arrival."""
        assert view.arrival is not None, "the caller must look ahead: see AbstractPolicy.looks_ahead"
        level = view.arrival.level(view.own(self.target))
        if self.correction is not None:
            level = level + _trained(self.correction, view.arrival, level)
        return level, view.arrival.stock


class NeuralFamily(eqx.Module):
    """Builds `Neural` policies around one network; it stands where a policy class stands."""

    correction: Correction = eqx.field(static=True)

    def start(self, network: Network, block: ItemBlock, at: StartingPoint) -> Neural:
        return Neural(first_level(network, block, at), self.correction)

    def scales(self, network: Network, block: ItemBlock, at: StartingPoint) -> Neural:
        return Neural(level_scale(network, block, at), self.correction)


class Learner(AbstractPolicy):
    """The same with weights that are trained: `weights` has them as the rows of one column that all items share."""

    target: Float[Array, "*buckets nodes items"]
    weights: Float[Array, "*column weights one"]
    sizes: tuple[int, ...] = eqx.field(static=True)

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def sees_ages(self) -> bool:
        return True

    def order(self, view: View) -> Float[Array, "sources batch"]:
        assert view.arrival is not None, "the caller must look ahead: see AbstractPolicy.looks_ahead"
        level = view.arrival.level(view.own(self.target))
        level = level + corrected(view.arrival, level, self.weights[:, 0], self.sizes)
        return view.split(shortfall(level, view.arrival.stock))


def check_network(net: Correction) -> Correction:
    """The network, if it takes what this policy tells it.

    Raises:
        ValueError: If it has other inputs, or other traits.
    """
    if net.sizes[0] != INPUTS or len(net.least) != TRAITS:
        found = f"{net.sizes[0]} inputs and {len(net.least)} traits"
        raise ValueError(f"a network of {INPUTS} inputs and {TRAITS} traits, not {found}")
    return net


def traits(arrival: Arrival) -> Float[Array, "traits rows batch"]:
    """What says whether a system is one of those that a network was trained on (`traits_of`)."""
    ages = arrival.ages
    assert ages is not None, "the caller must give ages: see AbstractPolicy.sees_ages"
    return traits_of(ages.lead, ages.gap, ages.lost, arrival.cover, ages.deviation)


def traits_of(
    lead: Float[Array, "*rows batch"],
    gap: Float[Array, "*rows batch"],
    lost: Float[Array, "*rows batch"],
    cover: Float[Array, "*rows batch"],
    deviation: Float[Array, "*rows batch"],
) -> Float[Array, "traits *rows batch"]:
    """Traits of systems.

    Lead time and review (periods), the part of what is short that is lost, and the standard deviation of the demand
    that an order must last for, as a part of that demand and in units.
    """
    relative = jnp.where(cover > 0, deviation / jnp.where(cover > 0, cover, 1), 0)
    return jnp.stack([lead, gap, lost, relative, deviation])


def _trained(net: Correction, arrival: Arrival, level: Float[Array, "rows batch"]) -> Float[Array, "rows batch"]:
    """What a trained network adds to the level, in units: nothing where a trait is out of the range of its training.

    A level out of range it takes for the nearest within.
    """
    assert arrival.ages is not None, "the caller must give ages: see AbstractPolicy.sees_ages"
    least, most = (jnp.asarray(side, level.dtype)[:, None, None] for side in (net.least, net.most))
    found = traits(arrival)
    room = _ROUNDING * (1 + jnp.abs(found))
    inside = jnp.all((found >= least[:-1] - room) & (found <= most[:-1] + room), axis=0)
    unit = arrival.ages.deviation
    beyond = jnp.clip(level - arrival.cover, least[-1] * unit, most[-1] * unit)
    more = corrected(arrival, arrival.cover + beyond, jnp.asarray(net.vector(), level.dtype), net.sizes)
    return jnp.where(inside, more, 0)


def corrected(
    arrival: Arrival, level: Float[Array, "rows batch"], weights: Float[Array, " weights"], sizes: tuple[int, ...]
) -> Float[Array, "rows batch"]:
    """What a network adds to the level, in units: its output times the deviation of the demand to be covered."""
    assert arrival.ages is not None, "the caller must give ages: see AbstractPolicy.sees_ages"
    return arrival.ages.deviation * output(weights, sizes, inputs(arrival, level))


def inputs(arrival: Arrival, level: Float[Array, "rows batch"]) -> Float[Array, "inputs rows batch"]:
    """What a network sees, without a scale: stock in deviations of the demand that an order must last for.

    What a unit is worth, capacity prices included, it sees by the level that the search has found to suit it.
    """
    ages = arrival.ages
    assert ages is not None, "the caller must give ages: see AbstractPolicy.sees_ages"
    unit = jnp.where(ages.deviation > 0, ages.deviation, 1)
    cover = jnp.where(arrival.cover > 0, arrival.cover, 1)
    # The derivative of a root at nought has no bound.
    deviation = jnp.sqrt(ages.variance + 1e-6 * unit * unit)
    amounts = [level - arrival.cover, arrival.stock - arrival.cover, deviation, ages.early, ages.unmet]
    scaled = jnp.concatenate([jnp.stack(amounts), ages.late]) / unit
    about = [ages.lead / 4, 1 / jnp.maximum(ages.lead, 1), ages.deviation / cover, 1 / unit]
    return _WIDEST * jnp.tanh(jnp.concatenate([scaled, jnp.stack(about)]) / _WIDEST)
