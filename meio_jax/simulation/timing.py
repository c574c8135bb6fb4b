"""When orders and shipments of a rollout are made: by day on average, and by bucket in some scenarios."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import Network
from meio_jax.simulation.replenish import Ordered


class Timing(eqx.Module):
    """Orders and shipments of the reported horizon over time; sources are offer slots first, then lanes.

    `daily` is the mean over scenarios by day of the decision, `lines` the share of scenarios in which an item is
    ordered from a vendor on the day, and `kept` the units of a bucket in the first few scenarios. Days begin with the
    evening before period 0 where nodes order in the evening, else with period 0; warm-up periods count as nothing.
    """

    daily: Float[Array, "days sources items"]
    lines: Float[Array, "days items"]
    kept: Float[Array, "buckets sources items kept"]


def _by_scenario(ordered: Ordered, scenarios: int) -> Float[Array, "sources items scenarios"]:
    units = jnp.concatenate([ordered.offer, ordered.lane])
    return units.reshape(units.shape[0], units.shape[1] // scenarios, scenarios)


def timing_of(
    ordered: Ordered, weight: Float[Array, ""], scenarios: int, keep: int
) -> tuple[Float[Array, "sources items"], Float[Array, " items"], Float[Array, "sources items kept"]]:
    """What is recorded of one day's decision.

    Args:
        ordered: Units ordered and shipped, batch last.
        weight: 1 on days that are charged, else 0.
        scenarios: Scenarios of the batch.
        keep: Scenarios whose units are kept.
    """
    units = weight * _by_scenario(ordered, scenarios)
    bought = jnp.sum(units[: ordered.offer.shape[0]], axis=0)
    return jnp.mean(units, axis=-1), jnp.mean((bought > 0).astype(bought.dtype), axis=-1), units[..., :keep]


def whole_timing(
    network: Network, days: tuple[Array, Array, Array], early: tuple[Array, Array, Array] | None
) -> Timing:
    """The record of a rollout from that of its buckets.

    Args:
        network: The shared network.
        days: As of `timing_of`, the first two with axes `simulated_buckets bucket_periods` in front, the last summed
            over the periods of each bucket.
        early: The same of the evening before period 0; None: nodes order in the morning.
    """
    flat = lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])[: network.periods]
    daily, lines, kept = flat(days[0]), flat(days[1]), days[2][: network.buckets]
    if early is not None:
        daily, lines = (
            jnp.concatenate([first[None], rest]) for first, rest in zip(early[:2], (daily, lines), strict=True)
        )
        kept = kept.at[0].add(early[2])
    return Timing(daily, lines, kept)
