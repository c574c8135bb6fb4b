"""Preference rounds against a plain loop, and their hand-written derivative against two other ways."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from hypothesis import given, settings
from hypothesis import strategies as st
from meio_kernels.allocation import allocate
from meio_kernels.assignment import FORMS, assign_round, fill_ratio, serve_rounds

# Ten operations in double precision.
ROUNDING = 1e-12
# Central differences with step 1e-6 of a piecewise smooth function: error ~ 1e-9 relative.
DIFFERENCE = 1e-6

# Classes, nodes, rounds and batch: one and five of each, alone and together. Every size is compiled anew, so that the
# numbers are drawn afresh in each example and the sizes come from these.
SIZES = ((1, 1, 1, 1), (5, 5, 5, 5), (5, 1, 3, 2), (1, 5, 2, 3), (3, 2, 5, 1), (2, 4, 1, 5), (4, 3, 4, 2))
sizes = st.sampled_from(SIZES)


def problem(seed: int, classes: int, nodes: int, rounds: int, batch: int) -> dict[str, np.ndarray]:
    """Random arguments of `serve_rounds`; some classes want nothing, some nodes are empty, some ask nobody."""
    rng = np.random.default_rng(seed)
    return {
        "open_demand": rng.gamma(0.7, 2, (classes, batch)) * (rng.uniform(size=(classes, batch)) < 0.8),
        "available": rng.gamma(0.7, 3, (nodes, batch)) * (rng.uniform(size=(nodes, batch)) < 0.8),
        "choice": rng.integers(0, nodes + 1, (rounds, classes)).astype(np.int32),
        "cost_unit": rng.uniform(1, 2, (rounds, classes)),
        "cost_kg": rng.uniform(0, 1, (rounds, classes)),
        "carbon": rng.uniform(0, 1, (rounds, classes)),
        "weight": rng.uniform(0, 3, batch),
    }


def loop_rounds(open_demand, available, choice, cost_unit, cost_kg, carbon, weight):
    """Serve class by class and node by node."""
    left, stock = open_demand.copy(), available.copy()
    cost, emitted = np.zeros_like(weight), np.zeros_like(weight)
    for p in range(choice.shape[0]):
        for b in range(weight.size):
            for node in range(stock.shape[0]):
                askers = [k for k in range(left.shape[0]) if choice[p, k] == node]
                asked = sum(left[k, b] for k in askers)
                if not asked:
                    continue
                ratio = min(1.0, stock[node, b] / asked)
                stock[node, b] = max(stock[node, b] - asked, 0.0)
                for k in askers:
                    units = left[k, b] * ratio
                    left[k, b] -= units
                    cost[b] += units * (cost_unit[p, k] + cost_kg[p, k] * weight[b])
                    emitted[b] += units * carbon[p, k]
    return left, stock, cost, emitted


def reference_rounds(open_demand, available, choice, cost_unit, cost_kg, carbon, weight):
    """The rounds in plain array operations, for automatic differentiation."""
    cost = emitted = 0.0
    for p in range(choice.shape[0]):
        mask = jax.nn.one_hot(choice[p], available.shape[0], dtype=open_demand.dtype)
        asked = mask.T @ open_demand
        scarce = asked > available
        ratio = jnp.where(scarce, available / jnp.where(scarce, asked, 1), 1)
        units = open_demand * (mask @ ratio)
        cost = cost + jnp.sum(units * (cost_unit[p][:, None] + cost_kg[p][:, None] * weight), 0)
        emitted = emitted + jnp.sum(units * carbon[p][:, None], 0)
        open_demand = open_demand - units
        available = jnp.where(scarce, 0, available - asked)
    return open_demand, available, cost, emitted


@pytest.mark.parametrize("form", sorted(FORMS))
@given(seed=st.integers(0, 2**31), shape=sizes)
@settings(max_examples=25, deadline=None)
def test_rounds_match_a_loop(form: str, seed: int, shape: tuple[int, ...]) -> None:
    with jax.enable_x64(True):
        data = problem(seed, *shape)
        ours = serve_rounds(*(jnp.asarray(value) for value in data.values()), form)
        close(ours, loop_rounds(**data), tolerance=ROUNDING)


@given(seed=st.integers(0, 2**31), shape=sizes)
@settings(max_examples=25, deadline=None)
def test_rounds_keep_units_and_signs(seed: int, shape: tuple[int, ...]) -> None:
    data = problem(seed, *shape)
    arrays = [jnp.asarray(v, jnp.int32 if v.dtype == np.int32 else jnp.float32) for v in data.values()]
    left, stock, cost, emitted = serve_rounds(*arrays)
    served, used = arrays[0] - left, arrays[1] - stock
    # float32 sums of up to five terms.
    close(served.sum(0), used.sum(0), tolerance=1e-5)
    assert all(float(leaf.min()) >= -1e-5 for leaf in (left, stock, served, used, cost, emitted))


@eqx.filter_jit
def pulled(rounds, arrays: tuple, bars: tuple) -> tuple:
    """Derivatives of demand and stock for given derivatives of the results."""
    out, pull = jax.vjp(lambda demand, stock: rounds(demand, stock, *arrays[2:]), *arrays[:2])
    return out, pull(bars)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", sorted(FORMS))
def test_hand_written_derivative(x64: None, form: str, seed: int) -> None:
    arrays = tuple(jnp.asarray(value) for value in problem(seed, 6, 3, 3, 8).values())
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(serve_rounds, *arrays)
    bars = tuple(jnp.asarray(rng.normal(size=one.shape)) for one in shapes)
    rounds = lambda *args: serve_rounds(*args, form)
    out, ours = pulled(rounds, arrays, bars)
    same, theirs = pulled(reference_rounds, arrays, bars)
    close(out, same, tolerance=ROUNDING)
    # Where nothing is wanted or nothing is there the function has a kink and both choose a side of it.
    generic = (np.asarray(arrays[0]) > 0, np.asarray(arrays[1]) > 0)
    for mine, other, inside in zip(ours, theirs, generic, strict=True):
        assert np.isfinite(mine).all()
        close(np.where(inside, mine, 0), np.where(inside, other, 0), tolerance=1e-9)
    along = [jnp.asarray(rng.normal(size=a.shape) * inside) for a, inside in zip(arrays[:2], generic, strict=True)]

    def value(step: float) -> float:
        moved = [a + step * move for a, move in zip(arrays[:2], along, strict=True)]
        return float(sum(jnp.vdot(o, bar) for o, bar in zip(rounds(*moved, *arrays[2:]), bars, strict=True)))

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    expected = sum(jnp.vdot(mine, move) for mine, move in zip(ours, along, strict=True))
    close(expected, slope, tolerance=DIFFERENCE, of=float(jnp.abs(expected)) + 1)


def test_forms_agree_on_every_part(x64: None) -> None:
    data = problem(3, 7, 4, 2, 5)
    demand, stock, choice = (jnp.asarray(data[name]) for name in ("open_demand", "available", "choice"))
    close(
        assign_round(demand, stock, choice[0], "sparse"),
        assign_round(demand, stock, choice[0], "dense"),
        tolerance=ROUNDING,
    )
    for part in range(2):
        source = (demand, stock)[part]
        bar = jnp.asarray(np.random.default_rng(0).normal(size=((4, 7)[part], 5)))
        results = []
        for form in sorted(FORMS):
            out, pull = jax.vjp(lambda x, form=form, part=part: FORMS[form][part](x, choice[0], 4), source)
            results.append((out, pull(bar)))
        close(results[0], results[1], tolerance=ROUNDING)


def test_fill_ratio_has_a_finite_derivative_where_nothing_is_asked() -> None:
    slope = jax.grad(lambda asked: fill_ratio(asked, jnp.zeros(3)).sum())(jnp.asarray([0.0, 1.0, 1e-30]))
    assert bool(jnp.isfinite(slope).all())


@given(seed=st.integers(0, 2**31), ranks=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_allocation_matches_a_loop(seed: int, ranks: int) -> None:
    rng = np.random.default_rng(seed)
    lanes, nodes, batch = 5, 3, 3
    asked, stock = rng.gamma(1, 2, (lanes, batch)), rng.gamma(1, 3, (nodes, batch))
    source, urgency = rng.integers(0, nodes, lanes), rng.integers(0, ranks, lanes)
    with jax.enable_x64(True):
        shipped, left = allocate(
            jnp.asarray(asked), jnp.asarray(stock), jnp.asarray(source), jnp.asarray(urgency), ranks
        )
    expected, rest = np.zeros_like(asked), stock.copy()
    for b in range(batch):
        for rank in range(ranks):
            for node in range(nodes):
                own = [k for k in range(lanes) if source[k] == node and urgency[k] == rank]
                total = asked[own, b].sum()
                share = 1.0 if total <= rest[node, b] else rest[node, b] / total
                expected[own, b] = asked[own, b] * share
                rest[node, b] = max(rest[node, b] - total, 0.0)
    close((shipped, left), (expected, rest), tolerance=ROUNDING)
