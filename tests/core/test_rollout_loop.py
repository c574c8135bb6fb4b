"""The rollout against plain loops written from the design page."""

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers import Case, close, make_case, make_policy
from loop_simulation import Ledger, simulate

from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout

# Two orders of the same double-precision sums differ by some hundred rounding errors.
ROUNDING = 1e-10
FLOWS = ("stock", "inbound", "outbound", "lane", "offer", "served", "wanted")


def run(case: Case, policy, form: str = "sparse"):
    simulated = eqx.filter_jit(
        lambda p: rollout(case.network, p, case.block, case.scenarios, case.lists, form=form, record=Record(True, True))
    )
    return simulated(policy)


def books(case: Case, target, protection=None) -> list[list[Ledger]]:
    return [
        [
            simulate(case, target[:, :, i], i, s, None if protection is None else protection[:, :, i])
            for s in range(case.samples)
        ]
        for i in range(case.block.items)
    ]


def compare(case: Case, outcome, ledgers: list[list[Ledger]]) -> None:
    for kind in ("costs", "units"):
        told = {name: values for name, values in vars(getattr(outcome, kind)).items() if values is not None}
        for name, values in told.items():
            expected = [getattr(book, kind).get(name, 0.0) for item in ledgers for book in item]
            close(values, np.asarray(expected), tolerance=ROUNDING, what=f"{kind}.{name}")
    more = [("wasted", case.block.shelf), ("outside", case.network.docks)]
    for name in (*FLOWS, *(name for name, there in more if there is not None)):
        values = np.asarray(getattr(outcome.flows, name))
        expected = np.zeros_like(values)
        for i, item in enumerate(ledgers):
            for book in item:
                for (kind, *at), units in book.flows.items():
                    if kind == name:
                        expected[(*at, i)] += units / case.samples
        close(values, expected, tolerance=ROUNDING, what=f"flows.{name}")
    stock = np.asarray(outcome.stock).reshape(-1, case.network.nodes, case.block.items * case.samples)
    for column, book in enumerate(book for item in ledgers for book in item):
        close(stock[: case.network.periods, :, column], np.asarray(book.stock), tolerance=ROUNDING, what="stock")


@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("backorder", [(False, True), (False, False)], ids=["backorder", "lost"])
def test_base_stock_matches_loops(x64: None, backorder: tuple[bool, ...], form: str) -> None:
    case = make_case(backorder=backorder, samples=2)
    policy = make_policy(case, "base_stock")
    compare(case, run(case, policy, form), books(case, np.asarray(policy.target)))


@pytest.mark.parametrize("seed", [3, 4])
def test_protection_matches_loops(x64: None, seed: int) -> None:
    case = make_case(backorder=(False, True), samples=2, seed=seed, priority=False)
    policy = make_policy(case, "base_stock", protection=True, seed=seed)
    target, protection = np.asarray(policy.replenishment.target), np.asarray(policy.protection)
    compare(case, run(case, policy), books(case, target, protection))


def test_recorded_speeds_sum_to_the_totals(x64: None) -> None:
    case = make_case(backorder=(False, True), samples=2)
    outcome = run(case, make_policy(case, "base_stock", protection=True))
    by_speed = outcome.speed_units.reshape(case.network.buckets, case.network.speeds, case.network.nodes, -1)
    close(by_speed.sum(1), outcome.flows.outbound, tolerance=ROUNDING)
    cost = outcome.costs.outbound.reshape(case.block.items, -1).mean(-1)
    close(outcome.speed_cost.sum((0, 1)), cost, tolerance=ROUNDING)


def test_stationary_policy_is_the_same_target_in_all_buckets(x64: None) -> None:
    case = make_case(samples=2)
    policy = make_policy(case, "base_stock")
    first = jax.tree.map(lambda leaf: leaf[:1], policy)
    repeated = jax.tree.map(lambda leaf: leaf.repeat(case.network.buckets, 0), first)
    close(run(case, first).costs, run(case, repeated).costs, tolerance=0)
