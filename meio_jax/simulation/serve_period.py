"""Serving the demand of one period: what waited first, then wave after wave."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.simulation.constants import Constants
from meio_jax.simulation.decide import Bucket, Program
from meio_jax.simulation.node_values import Worth
from meio_jax.simulation.serve import Served, Unmet, serve_waves
from meio_jax.simulation.state import Stock


def serve_period(
    program: Program,
    constants: Constants,
    bucket: Bucket,
    stock: Stock,
    demand: Float[Array, "waves speeds regions batch"],
    worth: Worth | None = None,
    at_once: Float[Array, "nodes batch"] | None = None,
) -> tuple[Float[Array, "nodes batch"], Unmet, Served]:
    """Serve the waves in turn; backlog goes first, as a wave of its own that uses the first wave's lists.

    `at_once` is the share of the day's orders that leaves each node on the day; None: all of them.
    """
    network, lists, late = program.network, bucket.lists, 0
    if stock.backlog is not None:
        late = 1
        demand = jnp.concatenate([stock.backlog[None], demand])
        lists = jax.tree.map(lambda table: jnp.concatenate([table[:1], table]), lists)
    return serve_waves(
        network,
        bucket.policy,
        stock.on_hand,
        demand,
        lists,
        constants.customer,
        program.form,
        record=program.record.by_speed,
        late=late,
        worth=worth,
        at_once=at_once,
    )
