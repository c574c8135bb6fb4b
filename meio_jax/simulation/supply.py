"""Sources that nodes order from: who orders on a day, in which packs, and what was ordered."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.network import ItemBlock, Network, Overrides
from meio_jax.policy.base import View
from meio_jax.simulation.decided import Decided


class OrderDays(eqx.Module):
    """Who orders on a day: nodes whose review day it is, or with a calendar the sources, made up for days closed.

    `offer` is by the calendar of the vendor; None, as `lane`, where the instance has no calendar. `period` counts from
    the start; None where no item is phased out. `day` is the period of the decision, -1 the evening before period 0;
    None where planners have decided nothing that changes from day to day.
    """

    node: Bool[Array, "*lead nodes"]
    offer: Bool[Array, "*lead calendars offers"] | None = None
    lane: Bool[Array, "*lead lanes"] | None = None
    period: Int[Array, "*lead"] | None = None
    day: Int[Array, "*lead"] | None = None

    def evening_before(self) -> "OrderDays":
        """The same in the evening before period 0, but for what planners decided for that day."""
        if self.day is None:
            return self
        return eqx.tree_at(lambda days: days.day, self, jnp.full_like(self.day, -1))

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

    def lanes(self, network: Network, lanes: tuple[int, ...]) -> Bool[Array, " lanes #batch"]:
        """Whether lanes may be asked now: their target reviews, and both ends work."""
        if self.lane is not None:
            return self.lane[jnp.asarray(lanes, int)][:, None]
        return self.node[jnp.asarray(network.lane_to, int)[jnp.asarray(lanes, int)]][:, None]

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
    from which on nothing is bought of an item (None: no item is phased out). `overrides` are decisions of planners by
    day (None: there are none). `outlive` is what a unit has to outlive to be shipped to another node (`ShelfLife`;
    None: nothing expires). `usual` is the size of orders that fixed costs and prices by quantity make worth while; None
    where there are none.
    """

    source_share: Float[Array, "sources batch"]
    offer_active: Bool[Array, "offers batch"]
    pack: Float[Array, "offers batch"]
    least: Float[Array, "offers batch"]
    own_demand: Float[Array, "nodes batch"] | None
    backorder: Float[Array, " batch"]
    calendar: Int[Array, "offers batch"] | None = None
    bought_until: Int[Array, " batch"] | None = None
    overrides: Overrides | None = None
    outlive: Int[Array, "nodes batch"] | None = None
    usual: Float[Array, "offers batch"] | None = None

    def decided(self, days: OrderDays, sources: int) -> Decided | None:
        """What planners have decided for a day; None where there is nothing."""
        if self.overrides is None or days.day is None:
            return None
        return Decided.on(self.overrides, days.day, sources)


class Ordered(eqx.Module):
    """Units ordered by offer slot and shipped by lane in one period.

    `by_life` are units shipped that live for at most 1, 2, ... periods, this one included; None where nothing expires.
    """

    offer: Float[Array, "offers batch"]
    lane: Float[Array, "lanes batch"]
    by_life: Float[Array, "lives lanes batch"] | None = None


def order_days(network: Network, block: ItemBlock) -> OrderDays:
    """Who orders on every day of the horizon and its tail."""
    calendar = network.calendar
    number = jnp.arange(network.horizon, dtype=jnp.int32)
    period = None if block.bought_until is None else number
    changing = block.overrides is not None or (block.bounds is not None and block.bounds.until is not None)
    day = number if changing else None
    if calendar is None:
        return OrderDays(network.review, period=period, day=day)
    return OrderDays(network.review, calendar.offer, calendar.lane, period, day)
