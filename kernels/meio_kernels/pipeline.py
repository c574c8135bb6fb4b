"""Pipelines of goods in transit: slot k of the `due` axis arrives at the start of the k-th period from now.

A pipeline is a delay line, so everything here is linear in the units. The reverse derivatives are written by hand
to keep only lead times, not pipelines, from the forward sweep.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def _placed(units: Array, lead: Array, due: int) -> Array:
    """Units in the slot in which they will stand one period later: `[sources, due, batch]`."""
    slot = jnp.arange(1, due + 1, dtype=lead.dtype)[None, :, None]
    return jnp.where(lead[:, None, :] == slot, units[:, None, :], 0)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def advance(
    pipeline: Float[Array, "nodes due batch"],
    units: Float[Array, "sources batch"],
    lead: Int[Array, " sources #batch"],
    sources: tuple[tuple[int, ...], ...],
) -> Float[Array, "nodes due batch"]:
    """End of a period: everything comes one period nearer, and new shipments enter, due `lead` periods from now.

    Shipments may cross: each goes to the slot of its own due day (1 <= lead <= due).

    Args:
        pipeline: Goods under way; slot 0 has arrived in this period and drops out.
        units: Shipped in this period, by source.
        lead: Lead time of each shipment, in periods.
        sources: For every row of the pipeline, the sources that feed it.
    """
    due = pipeline.shape[1]
    placed = _placed(units, lead, due)
    shifted = jnp.concatenate([pipeline[:, 1:], jnp.zeros_like(pipeline[:, :1])], axis=1)
    rows = [sum((placed[k] for k in own), start=jnp.zeros((), pipeline.dtype)) for own in sources]
    return shifted + jnp.stack([jnp.broadcast_to(row, shifted.shape[1:]) for row in rows])


def _advance_forward(pipeline: Array, units: Array, lead: Array, sources: tuple) -> tuple[Array, Array]:
    return advance(pipeline, units, lead, sources), lead


def _advance_backward(sources: tuple, lead: Array, after_bar: Array) -> tuple[Array, Array, None]:
    due = after_bar.shape[1]
    pipeline_bar = jnp.concatenate([jnp.zeros_like(after_bar[:, :1]), after_bar[:, :-1]], axis=1)
    row_of = [row for k in range(lead.shape[0]) for row, own in enumerate(sources) if k in own]
    slot = jnp.arange(1, due + 1, dtype=lead.dtype)[:, None]
    picked = [jnp.sum(jnp.where(lead[k] == slot, after_bar[row], 0), axis=0) for k, row in enumerate(row_of)]
    return pipeline_bar, jnp.stack(picked), None


advance.defvjp(_advance_forward, _advance_backward)


@jax.custom_vjp
def due_within(
    pipeline: Float[Array, "nodes due batch"], limit: Int[Array, " nodes #batch"]
) -> Float[Array, "nodes batch"]:
    """Units that arrive within the next `limit` periods, those of this period (slot 0, already received) excluded."""
    return jnp.sum(jnp.where(_soon(pipeline.shape[1], limit), pipeline, 0), axis=1)


def _soon(due: int, limit: Array) -> Array:
    slot = jnp.arange(due, dtype=limit.dtype)[None, :, None]
    return (slot >= 1) & (slot <= limit[:, None, :])


def _due_forward(pipeline: Array, limit: Array) -> tuple[Array, tuple[Array, Array]]:
    return due_within(pipeline, limit), (limit, jnp.zeros((0, pipeline.shape[1])))


def _due_backward(saved: tuple[Array, Array], total_bar: Array) -> tuple[Array, None]:
    limit, shape = saved
    return jnp.where(_soon(shape.shape[1], limit), total_bar[:, None, :], 0), None


due_within.defvjp(_due_forward, _due_backward)
