"""Serving the demand of one period: what waited first, then wave after wave."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.simulation.constants import Constants
from meio_jax.simulation.decide import Bucket, Program
from meio_jax.simulation.serve import Served, serve_wave
from meio_jax.simulation.state import Stock


def serve_period(
    program: Program,
    constants: Constants,
    bucket: Bucket,
    stock: Stock,
    demand: Float[Array, "waves speeds regions batch"],
) -> tuple[Float[Array, "nodes batch"], tuple[Float[Array, "regions batch"], ...], Served]:
    """Serve the waves in turn; backlog goes first, as a wave of its own that uses the first wave's lists."""
    network, lists = program.network, bucket.lists

    def wave(carry: tuple, at: tuple) -> tuple[tuple, None]:
        on_hand, unmet, total = carry
        arriving, wave_lists = at
        on_hand, left, done = serve_wave(
            network,
            bucket.policy,
            on_hand,
            arriving,
            wave_lists,
            constants.customer,
            program.form,
            record=program.record.by_speed,
        )
        unmet = tuple(before + more for before, more in zip(unmet, left, strict=True))
        return (on_hand, unmet, jax.tree.map(jnp.add, total, done)), None

    by_speed = tuple(demand[:, speed] for speed in range(network.speeds))
    nothing = Served.zeros(network, demand.shape[-1], demand.dtype, record=program.record.by_speed)
    carry = (stock.on_hand, tuple(jnp.zeros_like(waves[0]) for waves in by_speed), nothing)
    if network.backorders:
        first = jax.tree.map(lambda table: table[0], lists)
        (on_hand, unmet, done), _ = wave(carry, (stock.backlog, first))

        # Backlog was counted on the day it was ordered: serving it late is not serving it as promised.
        def in_time(served: Served) -> tuple:
            told = (served.on_time, served.regional.promised, served.regional.wanted)
            return told if served.from_nodes is None else (*told, served.from_nodes)

        late = eqx.tree_at(in_time, done, jax.tree.map(jnp.zeros_like, in_time(done)))
        carry = (on_hand, unmet, late)
    if demand.shape[0] == 1:
        carry, _ = wave(carry, jax.tree.map(lambda table: table[0], (by_speed, lists)))
    else:
        # Where rounds are one kernel, waves side by side let the compiler join the accounts of a day.
        unroll = demand.shape[0] if program.form == "fused" else 1
        carry, _ = jax.lax.scan(wave, carry, (by_speed, lists), unroll=unroll)
    return carry
