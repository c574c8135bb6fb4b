"""Cost terms of a simulated horizon, kept apart so that every figure of a plan can be explained."""

from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

OPTIONAL_TERMS = ("waste", "ordering")
"""Terms that only some instances have."""


class CostTerms(eqx.Module):
    """Money over the charged horizon, one entry per item and scenario (or per item, after averaging).

    `terminal` is the credit for what is left at the horizon, as a negative cost. `waste` is the disposal of what
    expired; None where no item has a shelf life. `ordering` are fixed costs of orders; None where there are none.
    """

    purchase: Float[Array, "*axes"]
    inbound: Float[Array, "*axes"]
    transfer: Float[Array, "*axes"]
    handling: Float[Array, "*axes"]
    holding: Float[Array, "*axes"]
    outbound: Float[Array, "*axes"]
    downgrade: Float[Array, "*axes"]
    lost_sale: Float[Array, "*axes"]
    backorder: Float[Array, "*axes"]
    terminal: Float[Array, "*axes"]
    waste: Float[Array, "*axes"] | None = None
    ordering: Float[Array, "*axes"] | None = None

    @classmethod
    def all_of(cls, value: Float[Array, "*axes"], *, waste: bool = False, ordering: bool = False) -> "CostTerms":
        """Every term the same; without waste where nothing expires, and ordering where it has no cost of its own."""
        terms = [value] * (len(fields(cls)) - len(OPTIONAL_TERMS))
        return cls(*terms, waste=value if waste else None, ordering=value if ordering else None)

    def by_name(self) -> dict[str, Any]:
        """The terms that there are, by name."""
        return {name: term for name, term in vars(self).items() if term is not None}

    @property
    def total(self) -> Float[Array | np.ndarray, "*axes"]:
        """Sum of all terms."""
        terms = jax.tree.leaves(self)
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    @property
    def gross(self) -> Float[Array | np.ndarray, "*axes"] | float:
        """What is paid: purchases net of the credit for what is left, and every other term, each without its sign.

        Shares of the cost are taken of this: the net total may be near zero where stock left is worth more than was
        bought.
        """
        net = abs(self.purchase + self.terminal)
        others = (self.inbound, self.transfer, self.handling, self.holding, self.outbound)
        unmet = (self.downgrade, self.lost_sale, self.backorder)
        rest = [term for term in (self.waste, self.ordering) if term is not None]
        return sum((abs(term) for term in (*others, *unmet, *rest)), start=net)

    @classmethod
    def zeros(cls, batch: int, dtype: jnp.dtype, *, waste: bool = False, ordering: bool = False) -> "CostTerms":
        """No cost yet."""
        return cls.all_of(jnp.zeros(batch, dtype), waste=waste, ordering=ordering)

    def plus(self, other: "CostTerms", weight: Float[Array, ""]) -> "CostTerms":
        """Add the terms of one period, weighted (0 in a warm-up period)."""
        return jax.tree.map(lambda mine, theirs: mine + weight * theirs, self, other)


class UnitTerms(eqx.Module):
    """Units over the charged horizon per item and scenario, and the carbon (kg) of moving them.

    `wasted` are units that expired; None where no item has a shelf life.
    """

    demand: Float[Array, "*axes"]
    shipped: Float[Array, "*axes"]
    lost: Float[Array, "*axes"]
    downgraded: Float[Array, "*axes"]
    backordered: Float[Array, "*axes"]
    carbon: Float[Array, "*axes"]
    wasted: Float[Array, "*axes"] | None = None

    @classmethod
    def zeros(cls, batch: int, dtype: jnp.dtype, *, waste: bool = False) -> "UnitTerms":
        """Nothing moved yet."""
        nothing = jnp.zeros(batch, dtype)
        return cls(*[nothing] * 6, wasted=nothing if waste else None)

    def plus(self, other: "UnitTerms", weight: Float[Array, ""]) -> "UnitTerms":
        """Add the units of one period, weighted (0 in a warm-up period)."""
        return jax.tree.map(lambda mine, theirs: mine + weight * theirs, self, other)


class Flows(eqx.Module):
    """Expected flows of each item, summed over the charged periods of a bucket (means over scenarios).

    Units, except `stock`, which is unit-periods. `served` and `wanted` count demand of a speed and region group
    that was served as promised, and all of it. `lines` are order lines: orders of offer slots, shipments of lanes, and
    receipts of nodes, of an item on a day; None where no capacity counts them. `kept` and `asked` are those of the
    floors that look at nodes (`NodeFloors`): demand served as promised from these nodes and all demand in scope, and
    item x node x periods that ended with a unit in stock and all of them; None where there are no such floors.
    `wasted` are units that expired at a node; None where no item has a shelf life. `paid` is money for what is bought
    through an offer slot, at prices by quantity; None where no price depends on the quantity. Of docks that queue
    `inbound` and `outbound` are what is brought to them, whenever it passes, `stock` has what waits to leave, and
    `outside` (unit-periods) are units that wait in front of a node; None where nothing queues.
    """

    stock: Float[Array, "*buckets nodes items"]
    inbound: Float[Array, "*buckets nodes items"]
    outbound: Float[Array, "*buckets nodes items"]
    lane: Float[Array, "*buckets lanes items"]
    offer: Float[Array, "*buckets offers items"]
    served: Float[Array, "*buckets speeds groups items"]
    wanted: Float[Array, "*buckets speeds groups items"]
    lines: Float[Array, "*buckets line_rows items"] | None = None
    kept: Float[Array, "*buckets floors items"] | None = None
    asked: Float[Array, "*buckets floors items"] | None = None
    wasted: Float[Array, "*buckets nodes items"] | None = None
    paid: Float[Array, "*buckets offers items"] | None = None
    outside: Float[Array, "*buckets nodes items"] | None = None
