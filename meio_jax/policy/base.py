"""What a replenishment policy sees and must answer."""

import abc
import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from meio_jax.model.network import ItemBlock, Network

SOURCE_PREFIX = "source_"
AGES = 4
"""Periods before an arrival that a policy which sees ages is told one by one."""


class Ages(eqx.Module):
    """How the stock that is expected on the day of arrival comes about, for a policy that asks (`sees_ages`).

    `late` is what each of the last periods before the arrival adds, the nearest first: receipts (in the first of all:
    what is in stock) less expected demand, 0 before now; `early` is the sum over the periods before these. `unmet` is
    demand that is expected to be lost until then, and `deviation` the standard deviation of the demand of `cover`, all
    in units; `variance` is that of the stock (units squared). `lead` and `gap` count the periods until the arrival and
    from one order to the next, `lost` is the part of what is short that is lost.
    """

    late: Float[Array, "ages rows batch"]
    early: Float[Array, "rows batch"]
    unmet: Float[Array, "rows batch"]
    variance: Float[Array, "rows batch"]
    deviation: Float[Array, "rows batch"]
    lead: Float[Array, "rows batch"]
    gap: Float[Array, "rows batch"]
    lost: Float[Array, "rows batch"]


class Arrival(eqx.Module):
    """What the rows of a tier expect for the day on which an order of now arrives.

    `stock` is expected stock net of backlog on the morning of that day, receipts of earlier orders included, this order
    not, in units. `cover` is the demand that the order must last for: from that day until the order of the next review
    arrives; `usual` is the mean of `cover` over the days of the bucket, and `spread` the ratio of the standard
    deviations of the two. `ages` is None for a policy that does not ask for it (`sees_ages`).
    """

    stock: Float[Array, "rows batch"]
    cover: Float[Array, "rows batch"]
    usual: Float[Array, "rows batch"]
    spread: Float[Array, "rows batch"]
    ages: Ages | None = None

    def level(self, target: Float[Array, "rows batch"]) -> Float[Array, "rows batch"]:
        """Level of this day from that of a day with usual demand.

        The level moves with the demand that it covers, and what it holds beyond that moves with the spread; a level
        below usual demand is the same part of the day's demand. With usual demand it is `target`.
        """
        known = jnp.where(self.usual > 0, self.usual, 1)
        part = jnp.where(self.usual > 0, self.cover / known, 1)
        within = jnp.minimum(target, self.usual) * part
        beyond = jnp.where(target > self.usual, target - self.usual, 0)
        return within + beyond * self.spread


class View(eqx.Module):
    """The state of one tier's nodes (`rows`) at the moment they order.

    Positions are inventory positions net of backlog, in units. A *source* is an offer slot or an inbound lane of
    one of the rows; `source_row` says of which, `source_share` how the row's order is split by default.
    `arriving_soon` is what vendors deliver within the lead time of the row's faster offer, `arrival` what is expected
    for the day on which an order of now arrives: None for a policy that does not ask for it (`looks_ahead`).
    """

    position: Float[Array, "rows batch"]
    echelon_position: Float[Array, "rows batch"]
    net_stock: Float[Array, "rows batch"]
    arriving_soon: Float[Array, "rows batch"]
    has_expedited: Bool[Array, "rows batch"]
    source_share: Float[Array, "sources batch"]
    source_expedited: Bool[Array, " sources"]
    source_row: tuple[int, ...] = eqx.field(static=True)
    source_index: tuple[int, ...] = eqx.field(static=True)
    rows: tuple[int, ...] = eqx.field(static=True)
    arrival: Arrival | None = None

    def expedited_position(self) -> Float[Array, "rows batch"]:
        """Net stock plus what arrives within the lead time of the faster offer."""
        return self.net_stock + self.arriving_soon

    def split(self, wanted: Float[Array, "rows batch"]) -> Float[Array, "sources batch"]:
        """Divide each row's order over its sources by the default shares."""
        return wanted[jnp.asarray(self.source_row, int)] * self.source_share

    def own(self, leaf: Float[Array, "nodes batch"]) -> Float[Array, "rows batch"]:
        """The rows of a parameter that has one row per node."""
        return leaf[jnp.asarray(self.rows, int)]


class StartingPoint(eqx.Module):
    """Newsvendor levels from which every policy starts, in units; the scale is mean lead-time demand."""

    target: Float[Array, "buckets nodes items"]
    echelon_target: Float[Array, "buckets nodes items"]
    demand_rate: Float[Array, "buckets nodes items"]
    expedited_target: Float[Array, "buckets nodes items"]
    scale: Float[Array, "buckets nodes items"]


class AbstractPolicy(eqx.Module):
    """A replenishment rule whose array leaves are the decision variables.

    Every leaf has axes `buckets, (nodes | sources | speeds x nodes), items`, in units of stock and non-negative; the
    rollout passes one bucket at a time, with the items spread over the batch. A leaf with a row per node becomes a
    column of the plan's targets; one with a row per source has a name that begins with `source_`.
    """

    def row_axes(self) -> dict[str, str]:
        """What the rows of every parameter are, by its path: `nodes` or `sources`."""
        return {name: "sources" if name.startswith(SOURCE_PREFIX) else "nodes" for name in self.parameters()}

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Names of the fields that are decided: all but those that are static."""
        return tuple(field.name for field in dataclasses.fields(cls) if not field.metadata.get("static", False))

    @abc.abstractmethod
    def order(self, view: View) -> Float[Array, "sources batch"]:
        """Units that the rows of a tier ask of each of their sources now."""

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        """Units by which the rows are below the levels that they order up to; negative: above.

        Networks with transshipment need it: what is above a level is what a node can give to others.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what is above a level (below_level)")

    @property
    def looks_ahead(self) -> bool:
        """Whether the policy needs `View.arrival`, which costs time to work out."""
        return False

    @property
    def sees_ages(self) -> bool:
        """Whether a policy that looks ahead needs `Arrival.ages` as well."""
        return False

    def reserved(self, speed: int) -> Float[Array, "nodes batch"] | None:
        """Stock that demand of this speed may not touch; None where nothing is reserved."""
        del speed
        return None


class AbstractReplenishment(AbstractPolicy):
    """A policy that a search can start from nothing but an item: a member of the registry."""

    @classmethod
    @abc.abstractmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "AbstractReplenishment":
        """The policy at its newsvendor starting point."""

    @classmethod
    @abc.abstractmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "AbstractReplenishment":
        """The natural unit of every leaf, used to make steps of all items comparable."""


def shortfall(level: Float[Array, "rows batch"], position: Float[Array, "rows batch"]) -> Float[Array, "rows batch"]:
    """Order that raises a position to its level, never negative.

    Where the two are equal the derivative is that of ordering more: a level of 0 above empty shelves can only rise,
    and with the derivative of ordering less, which is 0, it never would.
    """
    short = level - position
    return jnp.where(short >= 0, short, 0)
