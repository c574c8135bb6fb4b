"""The kernel of all rounds, run step by step on the CPU, against the rounds one by one: values and derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meio_kernels.assignment import serve_rounds
from meio_kernels.fused_rounds import fused_backward, fused_forward

# Some ten operations in single precision on numbers of some units.
ROUNDING = 5e-6
# Two tiles, the second one not full; two blocks of items with lists of their own.
BLOCKS, CLASSES, NODES, ROUNDS, BATCH = 2, 5, 3, 3, 130


@pytest.fixture(scope="module")
def both() -> tuple[tuple, tuple, tuple, tuple]:
    """Arguments, derivatives by the results, and results and derivatives of the rounds and of the kernel."""
    rng = np.random.default_rng(3)
    demand = rng.poisson(1.0, (BLOCKS, CLASSES, BATCH)).astype(np.float32)
    stock = rng.poisson(2.0, (BLOCKS, NODES, BATCH)).astype(np.float32)
    # Nothing is wanted in the second tile of the first block, and all is served in the first round of the other's.
    demand[0, :, 128:] = 0
    stock[1, :, 128:] = 100
    choice = rng.integers(0, NODES + 1, (BLOCKS, ROUNDS, CLASSES)).astype(np.int32)
    # Class 0 asks nobody at all, node 2 is asked for exactly what it has.
    choice[:, :, 0] = NODES
    choice[0, 0] = [NODES, 2, 0, 0, 1]
    demand[0, 1, :3], stock[0, 2, :3] = 2, 2
    tables = rng.uniform(0.1, 2, (3, BLOCKS, ROUNDS, CLASSES)).astype(np.float32)
    given = (demand, stock, choice, *tables, rng.uniform(0.1, 3, (BLOCKS, BATCH)).astype(np.float32))
    given = tuple(map(jnp.asarray, given))
    rows = (CLASSES, NODES, None, None)
    bars = tuple(
        jnp.asarray(rng.normal(size=(BLOCKS, BATCH) if row is None else (BLOCKS, row, BATCH)), jnp.float32)
        for row in rows
    )

    @jax.jit
    def one_by_one(given: tuple, bars: tuple) -> tuple[tuple, tuple]:
        def block(given: tuple, bars: tuple) -> tuple[tuple, tuple]:
            out, back = jax.vjp(lambda *moving: serve_rounds(*moving, *given[2:]), *given[:2])
            return out, back(bars)

        return jax.vmap(block)(given, bars)

    @jax.jit
    def at_once(given: tuple, bars: tuple) -> tuple[tuple, tuple]:
        forward = jax.vmap(lambda given: fused_forward(*given, interpret=True))(given)
        return forward, jax.vmap(partial(fused_backward, interpret=True))(given, bars)

    return given, bars, one_by_one(given, bars), at_once(given, bars)


@pytest.mark.parametrize("which", range(4), ids=["open", "stock", "cost", "carbon"])
def test_results_are_those_of_the_rounds(both: tuple, which: int) -> None:
    *_, (expected, _), (found, _) = both
    np.testing.assert_allclose(found[which], expected[which], rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("which", range(2), ids=["by demand", "by stock"])
def test_derivatives_are_those_of_the_rounds(both: tuple, which: int) -> None:
    *_, (_, expected), (_, found) = both
    np.testing.assert_allclose(found[which], expected[which], rtol=ROUNDING, atol=10 * ROUNDING)


def test_units_are_kept(both: tuple) -> None:
    given, _, _, ((left, stock, _, _), _) = both
    served = jnp.sum(given[0] - left, axis=1)
    np.testing.assert_allclose(served, jnp.sum(given[1] - stock, axis=1), rtol=ROUNDING, atol=10 * ROUNDING)
    assert bool(jnp.all(left[:, 0] == given[0][:, 0])), "a class that asks nobody is served by nobody"


def test_on_a_cpu_the_fused_form_is_the_sparse_one(both: tuple) -> None:
    given, bars, *_ = both
    one = tuple(leaf[0] for leaf in given)

    def run(form: str) -> tuple:
        out, back = jax.vjp(lambda *moving: serve_rounds(*moving, *one[2:], form), *one[:2])
        return out, back(tuple(leaf[0] for leaf in bars))

    for ours, theirs in zip(jax.tree.leaves(run("fused")), jax.tree.leaves(run("sparse")), strict=True):
        np.testing.assert_array_equal(ours, theirs)
