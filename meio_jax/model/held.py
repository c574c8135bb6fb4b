"""Capacities that are held in a share of the scenarios: what all items use of them in each."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.costs import Flows
from meio_jax.model.network import ItemBlock
from meio_jax.model.resources import Resources, Usage, used_by_item


class Held(eqx.Module):
    """Rows of the capacities that are held in a share of scenarios, and the items of a block, spread over scenarios."""

    rows: Resources
    block: ItemBlock


def held_of(resources: Resources, block: ItemBlock, scenarios: int) -> Held | None:
    """What a rollout records the use of, by scenario; None where every capacity is kept on average."""
    return Held(_rows(resources), _spread(block, scenarios)) if resources.held_index else None


def held_use(held: Held, flows: Flows) -> Float[Array, "held batch"]:
    """What a day's flows use, by item and scenario.

    Args:
        held: The capacities and the items.
        flows: Flows of the day; their last axis is that of items and scenarios.
    """
    return used_by_item(held.rows, jax.tree.map(lambda leaf: leaf[None], flows), held.block)[0]


def at_weights(resources: Resources, usage: Usage, weights: Float[Array, "buckets held scenarios"]) -> Usage:
    """The usage with that of held capacities as a weighted mean over scenarios."""
    if usage.worlds is None or not resources.held_index:
        return usage
    return with_held(resources, usage, jnp.mean(weights * usage.worlds.used, axis=-1))


def with_held(resources: Resources, usage: Usage, used: Float[Array, "buckets held"]) -> Usage:
    """The usage with another one of the held capacities."""
    return eqx.tree_at(lambda u: u.used, usage, usage.used.at[:, jnp.asarray(resources.held_index)].set(used))


def _rows(resources: Resources) -> Resources:
    """The rows of the held capacities alone."""
    chosen = resources.held_index
    rows = jnp.asarray(chosen, int)
    orders = [number for number, row in enumerate(resources.order_index) if row in chosen]
    named = ("stock", "inbound", "outbound", "lane", "service", "measure", "storage_class", "is_service")
    return replace(
        resources,
        **{name: getattr(resources, name)[rows] for name in named},
        **{name: getattr(resources, name)[jnp.asarray(orders, int)] for name in ("offer", "order_vendor")},
        capacity=resources.capacity[:, rows],
        present=resources.present[:, rows],
        item_class=None if resources.item_class is None else resources.item_class[rows],
        order_index=tuple(chosen.index(resources.order_index[number]) for number in orders),
        floor_index=(),
        held_index=(),
        held_share=(),
    )


def _spread(block: ItemBlock, scenarios: int) -> ItemBlock:
    """The block with what capacities count of its items spread over scenarios; other leaves stay as they are."""
    names = ("volume", "weight", "storage_class", "live", "offer_vendor", "offer_cost", "sizes", "item_class")
    held = lambda b: [getattr(b, name) for name in names if getattr(block, name) is not None]
    return eqx.tree_at(held, block, [jnp.repeat(leaf, scenarios, axis=-1) for leaf in held(block)])
