"""When orders and shipments of a rollout are made: by day on average, and by bucket in some scenarios."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import Network
from meio_jax.simulation.supply import Ordered


class Timing(eqx.Module):
    """Orders and shipments of a rollout over time, or of one day; sources are offer slots first, then lanes.

    `daily` is the mean over scenarios by day of the decision, `lines` the share of scenarios in which an item is
    ordered from a vendor on the day, and `kept` the units of a bucket in the first few scenarios. Days begin with the
    evening before period 0 where nodes order in the evening, else with period 0; warm-up periods count as nothing.
    """

    daily: Float[Array, "*days sources items"]
    lines: Float[Array, "*days items"]
    kept: Float[Array, "*buckets sources items kept"]


def _by_scenario(ordered: Ordered, scenarios: int) -> Float[Array, "sources items scenarios"]:
    units = jnp.concatenate([ordered.offer, ordered.lane])
    return units.reshape(units.shape[0], units.shape[1] // scenarios, scenarios)


def timing_of(ordered: Ordered, weight: Float[Array, ""], scenarios: int, keep: int) -> Timing:
    """What is recorded of one day's decision.

    Args:
        ordered: Units ordered and shipped, batch last.
        weight: 1 on days that are charged, else 0.
        scenarios: Scenarios of the batch.
        keep: Scenarios whose units are kept.
    """
    units = weight * _by_scenario(ordered, scenarios)
    bought = jnp.sum(units[: ordered.offer.shape[0]], axis=0)
    daily = jnp.mean(units, axis=-1)
    lines = jnp.mean((bought > 0).astype(bought.dtype), axis=-1)
    return Timing(daily, lines, units[..., :keep])


def whole_timing(network: Network, days: Timing, early: Timing | None) -> Timing:
    """The record of a rollout from that of its buckets.

    Args:
        network: The shared network.
        days: Of every day, with axes `simulated_buckets bucket_periods` in front; `kept` summed over the periods of
            each bucket.
        early: The same of the evening before period 0; None: nodes order in the morning.
    """
    flat = lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])[: network.periods]
    daily, lines, kept = flat(days.daily), flat(days.lines), days.kept[: network.buckets]
    if early is not None:
        daily = jnp.concatenate([early.daily[None], daily])
        lines = jnp.concatenate([early.lines[None], lines])
        kept = kept.at[0].add(early.kept)
    return Timing(daily, lines, kept)
