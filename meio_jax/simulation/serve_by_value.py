"""Rounds in which a demand class asks the node that is cheapest with what the unit is worth there.

Every batch entry has an order of its own, which preference lists that a group of items shares cannot give: a round asks
all entries of the lists at once, each for the demand whose best entry it is.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from meio_kernels.assignment import FORMS, assign_round, unit_costs

from meio_jax.simulation.node_values import Worth
from meio_jax.simulation.preferences import PreferenceLists

TURNS = 2
"""Rounds by value of a speed; what is open after them asks in the order of cost, so that nobody is left with less."""

# Units below which a node has nothing to give.
_NOTHING = 1e-6


class Asked(eqx.Module):
    """What the rounds by value shipped, by entry of the lists, and what they left."""

    shipped: Float[Array, "turns entries batch"]
    open_demand: Float[Array, "regions batch"]
    usable: Float[Array, "nodes batch"]


def serve_by_value(
    wanted: Float[Array, "regions batch"],
    usable: Float[Array, "nodes batch"],
    on_hand: Float[Array, "nodes batch"],
    lists: PreferenceLists,
    worth: Worth,
    form: str,
) -> Asked:
    """Serve a speed: in every round each class asks its best node among those that have stock left.

    Args:
        wanted: Units asked for.
        usable: Stock that this speed may take.
        on_hand: All stock of the nodes, by which units are worth what they are.
        lists: Of this speed of this wave, axes `rounds regions`.
        worth: Of the day.
        form: Assignment form.
    """
    choice, turns = lists.node.reshape(-1), []
    for _ in range(TURNS):
        best = _best(lists, worth.of_unit(on_hand), usable)
        asking = (wanted * best).reshape(-1, wanted.shape[-1])
        share, left, _ = assign_round(asking, usable, choice, form)
        turns.append(asking * share)
        wanted = wanted - jnp.sum(turns[-1].reshape(best.shape), axis=0)
        on_hand, usable = on_hand - (usable - left), left
    return Asked(jnp.stack(turns), wanted, usable)


def _best(
    lists: PreferenceLists, value: Float[Array, "nodes batch"], usable: Float[Array, "nodes batch"]
) -> Float[Array, "rounds regions batch"]:
    """1 at the entry of every class that is cheapest with the value of the unit, of nodes with stock; else 0."""
    assert lists.rank is not None
    key = jnp.where(usable > _NOTHING, value, jnp.inf)
    key = lists.rank[..., None] + key.at[lists.node].get(mode="fill", fill_value=jnp.inf)
    first = jnp.argmin(key, axis=0)
    entry = jnp.arange(key.shape[0])[:, None, None]
    best: Bool[Array, "rounds regions batch"] = (entry == first) & (key < jnp.inf)
    return jax.lax.stop_gradient(best.astype(value.dtype))


def outbound_of(
    asked: Asked, lists: PreferenceLists, weight: Float[Array, " batch"]
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """Outbound cost and carbon of what was shipped."""
    flat = lambda leaf: leaf.reshape(-1)
    units = jnp.sum(asked.shipped, axis=0)
    cost = jnp.sum(unit_costs(flat(lists.cost_unit), flat(lists.cost_kg), weight) * units, axis=0)
    return cost, jnp.sum(flat(lists.carbon)[:, None] * units, axis=0)


def shipped_by_node(
    asked: Asked, lists: PreferenceLists, weight: Float[Array, " batch"], form: str, nodes: int
) -> tuple[Float[Array, "nodes batch"], Float[Array, "nodes batch"]]:
    """Units and outbound cost of what was shipped, by node."""
    ask, choice, units = FORMS[form][0], lists.node.reshape(-1), jnp.sum(asked.shipped, axis=0)
    priced = unit_costs(lists.cost_unit.reshape(-1), lists.cost_kg.reshape(-1), weight) * units
    return ask(units, choice, nodes), ask(priced, choice, nodes)
