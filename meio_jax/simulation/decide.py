"""The decision of a moment: what nodes order and ship, on what they know then."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.assignment import FORMS

from meio_jax.model.held import Held
from meio_jax.model.network import Bounds, Network
from meio_jax.policy.base import AbstractPolicy
from meio_jax.simulation.constants import Constants
from meio_jax.simulation.docks import AtDocks
from meio_jax.simulation.inputs import Moment
from meio_jax.simulation.node_values import NodeValues
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.outlook import Expectation
from meio_jax.simulation.pipelines import Near, look_ahead
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.replenish import replenish
from meio_jax.simulation.spare_numbers import SpareNumbers
from meio_jax.simulation.state import Pipelines, Stock
from meio_jax.simulation.supply import Ordered


class Program(eqx.Module):
    """The static choices of a rollout; `held` are the capacities of which it records the use of every scenario."""

    network: Network
    scenarios: int = eqx.field(static=True)
    form: str = eqx.field(static=True)
    record: Record = eqx.field(static=True)
    whole: bool = eqx.field(static=True)
    tail: bool = eqx.field(static=True, default=True)
    held: Held | None = None

    @property
    def packs(self) -> bool:
        """Whether flows lie in one array while days pass: where a step is bound by the number of kernels."""
        return self.form == "fused"


class Bucket(eqx.Module):
    """What changes from bucket to bucket."""

    policy: AbstractPolicy
    lists: PreferenceLists
    bounds: Bounds | None = None
    values: NodeValues | None = None
    spare: SpareNumbers | None = None

    def spread_over(self, scenarios: int) -> "Bucket":
        """The same for items spread over scenarios; preference lists are of the block."""
        wide = lambda leaf: jnp.repeat(leaf, scenarios, axis=-1)
        policy, *others = jax.tree.map(wide, (self.policy, self.bounds, self.values, self.spare))
        return Bucket(policy, self.lists, *others)


def ahead(
    network: Network,
    constants: Constants,
    pipelines: Pipelines,
    *,
    by_value: bool = False,
    docks: AtDocks | None = None,
) -> Near:
    """What the pipelines bring now, soon and late; by day as well where somebody looks ahead.

    `docks` is what the day knows of docks that queue.
    """
    by_day = by_value or constants.flow is not None or bool(network.transship)
    life = None if constants.shelf is None else constants.shelf.life
    near = look_ahead(network, pipelines, constants.expedited_lead, constants.reach, by_day=by_day, life=life)
    return near if docks is None else eqx.tree_at(lambda n: n.docks, near, docks, is_leaf=lambda leaf: leaf is None)


def decide(
    program: Program,
    constants: Constants,
    bucket: Bucket,
    stock: Stock,
    near: Near,
    moment: Moment,
) -> tuple[Stock, Ordered]:
    """Orders and shipments at this moment: the decision that is issued today, and that every simulated day makes."""
    network = program.network
    waiting = None if stock.backlog is None else _waiting_by_node(program, bucket, stock.backlog)
    own = None if network.evening else constants.own_share * moment.mean_demand
    supply = eqx.tree_at(lambda s: s.own_demand, constants.supply, own, is_leaf=lambda leaf: leaf is None)
    expect = None
    if constants.flow is not None and moment.outlook is not None:
        expect = Expectation(constants.flow, moment.outlook)
    return replenish(
        network,
        bucket.policy,
        stock,
        supply,
        near,
        constants.echelon,
        waiting,
        moment.days,
        expect,
        bucket.bounds,
        bucket.spare,
        whole=program.whole,
    )


def _waiting_by_node(program: Program, bucket: Bucket, backlog: Array) -> Float[Array, "nodes batch"]:
    """Backlog counts against the node that its class asks first."""
    ask = FORMS[program.form][0]
    first = bucket.lists.node[0, :, 0]
    return ask(backlog.reshape(-1, backlog.shape[-1]), first.reshape(-1), program.network.nodes)
