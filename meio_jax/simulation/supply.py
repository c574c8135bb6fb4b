"""Sources that nodes order from: who orders on a day, in which packs, and what was ordered."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import View


class OrderDays(eqx.Module):
    """Who orders on a day: nodes whose review day it is, or with a calendar the sources, made up for days closed.

    `offer` is by the calendar of the vendor; None, as `lane`, where the instance has no calendar. `period` counts from
    the start; None where no item is phased out.
    """

    node: Bool[Array, "*lead nodes"]
    offer: Bool[Array, "*lead calendars offers"] | None = None
    lane: Bool[Array, "*lead lanes"] | None = None
    period: Int[Array, "*lead"] | None = None

    def sources(
        self, view: View, offers: tuple[int, ...], lanes: tuple[int, ...], supply: "Supply"
    ) -> Bool[Array, " sources #batch"]:
        """Whether the rows of a view order from each of their sources now.

        Args:
            view: What the rows see.
            offers: Their offer slots.
            lanes: Their lanes.
            supply: Calendars of the vendors, and how long items are bought.
        """
        due = self._reviewed(view, offers, lanes, supply.calendar)
        if self.period is None or supply.bought_until is None:
            return due
        bought = jnp.asarray([True] * len(offers) + [False] * len(lanes))[:, None]
        return due & ~(bought & (self.period >= supply.bought_until))

    def _reviewed(
        self, view: View, offers: tuple[int, ...], lanes: tuple[int, ...], calendar: Int[Array, "offers batch"] | None
    ) -> Bool[Array, " sources #batch"]:
        if self.offer is None or self.lane is None or calendar is None:
            return self.node[jnp.asarray(view.rows, int)][jnp.asarray(view.source_row, int)][:, None]
        ids = jnp.asarray(offers, int)
        bought = self.offer[calendar[ids], ids[:, None]]
        asked = self.lane[jnp.asarray(lanes, int)][:, None]
        return jnp.concatenate([bought, jnp.broadcast_to(asked, (len(lanes), bought.shape[-1]))])


class Supply(eqx.Module):
    """Per-batch data of sources: default shares, open offers, their packs and least orders.

    `own_demand` is what customers are expected to ask of each node before the day ends; None where they were served
    before nodes order. Transfers leave that much at a node. `backorder` is 1 for items whose unmet demand waits.
    `calendar` is that of the vendor of every offer slot (None: the instance has no calendar), `bought_until` the period
    from which on nothing is bought of an item (None: no item is phased out).
    """

    source_share: Float[Array, "sources batch"]
    offer_active: Bool[Array, "offers batch"]
    pack: Float[Array, "offers batch"]
    least: Float[Array, "offers batch"]
    own_demand: Float[Array, "nodes batch"] | None
    backorder: Float[Array, " batch"]
    calendar: Int[Array, "offers batch"] | None = None
    bought_until: Int[Array, " batch"] | None = None


class Ordered(eqx.Module):
    """Units ordered by offer slot and shipped by lane in one period."""

    offer: Float[Array, "offers batch"]
    lane: Float[Array, "lanes batch"]


def order_days(network: Network, block: ItemBlock) -> OrderDays:
    """Who orders on every day of the horizon and its tail."""
    calendar = network.calendar
    period = None if block.bought_until is None else jnp.arange(network.horizon, dtype=jnp.int32)
    if calendar is None:
        return OrderDays(network.review, period=period)
    return OrderDays(network.review, calendar.offer, calendar.lane, period)
