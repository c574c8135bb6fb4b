"""Pipelines of goods in transit: row k of the `due` axis arrives k + 1 periods from now."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def advance(
    pipeline: Float[Array, "nodes due batch"],
) -> tuple[Float[Array, "nodes batch"], Float[Array, "nodes due batch"]]:
    """Start of a period: what is due now arrives, the rest comes one period nearer."""
    arriving = pipeline[:, 0]
    return arriving, jnp.concatenate([pipeline[:, 1:], jnp.zeros_like(pipeline[:, :1])], axis=1)


def dispatch(
    pipeline: Float[Array, "nodes due batch"],
    units: Float[Array, "lanes batch"],
    lead: Int[Array, "lanes #batch"],
    rows: Int[Array, " lanes"],
) -> Float[Array, "nodes due batch"]:
    """Add shipments that arrive `lead` periods from now (1 <= lead <= due) to the pipelines of `rows`.

    Shipments may cross: each goes to the slot of its own due day.
    """
    due = pipeline.shape[1]
    slot = jnp.arange(1, due + 1, dtype=lead.dtype)[None, :, None]
    added = jnp.where(lead[:, None, :] == slot, units[:, None, :], 0)
    return pipeline.at[rows].add(added)


def dispatch_fixed(
    pipeline: Float[Array, "nodes due batch"],
    units: Float[Array, "lanes batch"],
    lead: Int[Array, " lanes"],
    rows: Int[Array, " lanes"],
) -> Float[Array, "nodes due batch"]:
    """`dispatch` for lead times that are the same in every scenario: one row of the batch per lane moves."""
    return pipeline.at[rows, lead - 1].add(units)


def due_within(
    pipeline: Float[Array, "nodes due batch"], limit: Int[Array, "nodes #batch"]
) -> Float[Array, "nodes batch"]:
    """Units that arrive within the next `limit` periods."""
    slot = jnp.arange(1, pipeline.shape[1] + 1, dtype=limit.dtype)[None, :, None]
    return jnp.sum(jnp.where(slot <= limit[:, None, :], pipeline, 0), axis=1)
