"""Quick versions of the other-solver study: linear programs by HiGHS, and stockpyl's simulation."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("highspy")
pytest.importorskip("stockpyl")

from scipy import optimize
from solvers.fulfilment import assign
from solvers.newsvendor_network import Size
from solvers.rate import slope
from solvers.stockpyl_simulation import SYSTEMS, model_of, ours, theirs
from solvers.two_stage import KINDS, compare

# Single precision against double over 120 periods.
ROUNDING = 1e-4
SMALL = Size(items=2, nodes=2, regions=2, paths=16)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=["one node", "several nodes"])
def test_the_planner_stays_within_the_gap_of_the_extensive_program(kind) -> None:
    row = compare(1, kind, SMALL, 300)
    size = row["reference"]
    # Two items on sixteen scenarios: a unit is a larger share of everything than in the full study.
    assert -1e-3 * size <= row["ours"] - row["reference"] <= 2 * row["tolerance_pct"] / 100 * size
    assert row["violation"] <= 2e-3
    assert row["exact_at_prices"] <= row["reference"] * (1 + 1e-6)
    assert row["clairvoyant"] == pytest.approx(row["clairvoyant_lp"], rel=1e-4)
    assert row["clairvoyant_lp"] <= row["knowing_lp"] * (1 + 1e-6)
    assert row["knowing_lp"] <= row["not_knowing_lp"] * (1 + 1e-6)
    assert row["lagrangian_label"] == ("estimate" if kind.several else "bound")


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 3], ids=["serial", "distribution"])
def test_stockpyl_counts_the_same_on_the_same_demand(number: int) -> None:
    system = SYSTEMS[number]
    # The penalty of scarce stock is where the order of shipments shows.
    scarce = dataclasses.replace(system, level=tuple(0.7 * level // 1 for level in system.level))
    cost, demand = ours(model_of(scarce), scarce, 2)
    np.testing.assert_allclose(cost[0], theirs(scarce, 0, demand[0]), rtol=ROUNDING)


def test_the_assignment_program_is_the_one_of_another_solver() -> None:
    rng = np.random.default_rng(0)
    on_hand, demand = rng.uniform(0, 3, (3, 2)), rng.uniform(0, 2, (2, 2, 2))
    unit, lost = rng.uniform(1, 5, (2, 2, 3, 2)), np.asarray([4.0, 9.0])
    outbound, missed = assign(on_hand, demand, unit, lost, np.ones((2, 2, 3), bool))
    for b in range(2):
        cost = (unit[..., b] - lost[b]).reshape(4, 3)
        node = [[float(n == m) for _ in range(4) for m in range(3)] for n in range(3)]
        of_class = [[float(c == d) for d in range(4) for _ in range(3)] for c in range(4)]
        limits = np.concatenate([on_hand[:, b], demand[..., b].ravel()])
        found = optimize.linprog(cost.ravel(), A_ub=np.asarray(node + of_class), b_ub=limits)
        total = outbound[b] + lost[b] * missed[b]
        assert total == pytest.approx(found.fun + lost[b] * demand[..., b].sum(), rel=1e-9)


def test_independent_errors_fall_with_the_root_of_their_number() -> None:
    system = SYSTEMS[0]
    costs, _ = ours(model_of(system), system, 2048)
    assert slope(costs, (8, 16, 32, 64)) == pytest.approx(-0.5, abs=0.15)
    # The check itself can fail: scenarios that repeat do not average out.
    assert slope(np.repeat(costs[:16], 128), (8, 16, 32, 64)) > -0.1
