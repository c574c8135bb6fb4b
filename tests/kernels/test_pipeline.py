"""Delay lines against a ledger of deliveries, and their hand-written derivatives against automatic ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from hypothesis import given, settings
from hypothesis import strategies as st
from meio_kernels.pipeline import advance, due_within

ROUNDING = 1e-12
SOURCES = ((0, 2), (), (1,))


def arguments(seed: int, due: int, one_lead: bool = False) -> tuple:
    rng = np.random.default_rng(seed)
    return (
        jnp.asarray(rng.uniform(0, 5, (3, due, 4))),
        jnp.asarray(rng.uniform(0, 5, (3, 4))),
        jnp.asarray(rng.integers(1, due + 1, (3, 1 if one_lead else 4)), jnp.int32),
    )


def plain_advance(pipeline, units, lead):
    """The same by one indexed addition per shipment."""
    moved = jnp.concatenate([pipeline[:, 1:], jnp.zeros_like(pipeline[:, :1])], 1)
    for row, own in enumerate(SOURCES):
        for k in own:
            for b in range(units.shape[1]):
                at = int(lead[k, b if lead.shape[1] > 1 else 0]) - 1
                moved = moved.at[row, at, b].add(units[k, b])
    return moved


@given(seed=st.integers(0, 2**31), due=st.integers(1, 5), one_lead=st.booleans())
@settings(max_examples=20, deadline=None)
def test_advance_matches_single_deliveries(seed: int, due: int, one_lead: bool) -> None:
    with jax.enable_x64(True):
        pipeline, units, lead = arguments(seed, due, one_lead)
        close(advance(pipeline, units, lead, SOURCES), plain_advance(pipeline, units, lead), tolerance=ROUNDING)


@pytest.mark.parametrize("one_lead", [False, True])
def test_advance_derivative(x64: None, one_lead: bool) -> None:
    pipeline, units, lead = arguments(0, 4, one_lead)
    bar = jnp.asarray(np.random.default_rng(1).normal(size=pipeline.shape))
    _, ours = jax.vjp(lambda p, u: advance(p, u, lead, SOURCES), pipeline, units)
    _, theirs = jax.vjp(lambda p, u: plain_advance(p, u, lead), pipeline, units)
    close(ours(bar), theirs(bar), tolerance=ROUNDING)


def test_everything_sent_arrives_once(x64: None) -> None:
    rng = np.random.default_rng(2)
    pipeline, sent, arrived = jnp.zeros((1, 4, 3)), 0.0, 0.0
    for _ in range(9):
        arrived = arrived + pipeline[:, 0].sum()
        units = jnp.asarray(rng.uniform(0, 1, (1, 3)))
        sent = sent + units.sum()
        pipeline = advance(pipeline, units, jnp.asarray(rng.integers(1, 5, (1, 3)), jnp.int32), ((0,),))
    close(sent, arrived + pipeline.sum(), tolerance=ROUNDING)


@given(seed=st.integers(0, 2**31), due=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_due_within_counts_the_right_slots(seed: int, due: int) -> None:
    rng = np.random.default_rng(seed)
    pipeline = rng.uniform(0, 5, (2, due, 3))
    limit = rng.integers(0, due + 2, (2, 3))
    expected = np.asarray([[pipeline[n, 1 : limit[n, b] + 1, b].sum() for b in range(3)] for n in range(2)])
    with jax.enable_x64(True):
        limits = jnp.asarray(limit, jnp.int32)
        total, pull = jax.vjp(lambda p: due_within(p, limits), jnp.asarray(pipeline))
        close(total, expected, tolerance=ROUNDING)
        slot = np.arange(due)[None, :, None]
        close(pull(jnp.ones((2, 3)))[0], (slot >= 1) & (slot <= limit[:, None]), tolerance=0)
