"""Projected inventory level (van Jaarsveld and Arts 2024): order up to a level of expected stock at arrival."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.leads import mean_leads
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall

# A level is steps of at least this part of the lead-time demand, and starts at this part of what it covers at least.
_LEAST_SCALE, _LEAST_START = 0.2, 0.5


class ProjectedLevel(AbstractReplenishment):
    """Raise the stock that is expected on the day the order arrives to `target` (units), that day's sales to come.

    What is expected counts what is on hand, receipts by their due day, and forecast sales until then, where demand that
    meets an empty shelf is lost (or waits). `target` holds for a day of usual demand; it moves with the forecast of the
    days that the order must last for.
    """

    target: Float[Array, "*buckets nodes items"]

    @property
    def looks_ahead(self) -> bool:
        return True

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "ProjectedLevel":
        return cls(first_level(network, block, at))

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "ProjectedLevel":
        return cls(level_scale(network, block, at))

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        assert view.arrival is not None, "the caller must look ahead: see AbstractPolicy.looks_ahead"
        return view.arrival.level(view.own(self.target)) - view.arrival.stock

    def order(self, view: View) -> Float[Array, "sources batch"]:
        assert view.arrival is not None, "the caller must look ahead: see AbstractPolicy.looks_ahead"
        level = view.arrival.level(view.own(self.target))
        return view.split(shortfall(level, view.arrival.stock))


def first_level(network: Network, block: ItemBlock, at: StartingPoint) -> Float[Array, "buckets nodes items"]:
    """Where the search of a level of expected stock starts, in units."""
    return jnp.maximum(at.target - _before_arrival(network, block, at), _LEAST_START * at.demand_rate)


def level_scale(network: Network, block: ItemBlock, at: StartingPoint) -> Float[Array, "buckets nodes items"]:
    """The natural unit of a level of expected stock, in units."""
    return jnp.maximum(at.scale - _before_arrival(network, block, at), _LEAST_SCALE * at.scale)


def _before_arrival(network: Network, block: ItemBlock, at: StartingPoint) -> Float[Array, "buckets nodes items"]:
    """Demand between the evening of an order and the morning of its arrival, which an inventory position covers."""
    return jnp.maximum(mean_leads(network, block) - 1, 0) * at.demand_rate
