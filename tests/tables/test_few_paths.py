"""Which instances train on a law that is fitted to their sample paths."""

import numpy as np
import polars as pl
import pytest
from tiny import ITEMS, PERIODS, tiny_tables

from meio_jax.demand import FewPathDemand, PathDemand
from meio_jax.demand.few_paths import FEW, LEAST, fitted_law
from meio_jax.instance import build_instance


@pytest.mark.parametrize("count", [LEAST - 1, LEAST, 12, FEW - 1, FEW])
def test_few_paths_have_a_law_and_many_have_none(count: int) -> None:
    dice = np.random.default_rng(0)
    units = dice.negative_binomial(2, 1 / 3, (count, PERIODS, len(ITEMS))).astype(float)
    rows = [
        (item, path, period, units[path, period, at])
        for at, item in enumerate(ITEMS)
        for path in range(count)
        for period in range(PERIODS)
    ]
    columns = ["item_id", "path", "period", "units"]
    forecast = pl.DataFrame(rows, schema=columns, orient="row")
    made = build_instance(tiny_tables("paths").replace(forecast=forecast), block_items=2)
    demand = made.catalog.demand
    if not LEAST <= count < FEW:
        assert isinstance(demand, PathDemand)
        return
    assert isinstance(demand, FewPathDemand)
    assert demand.note.startswith(f"{count} sample paths: levels are searched on a law fitted to half of them")
    mean, spread, _, lasting = fitted_law(units, PERIODS)
    given = lambda leaf: made.layout.join(np.asarray(leaf), len(ITEMS))[:PERIODS]
    np.testing.assert_allclose(given(demand.law.mean), mean, rtol=1e-6)
    np.testing.assert_allclose(given(demand.law.dispersion), spread, rtol=1e-5)
    np.testing.assert_allclose(given(demand.lasting), lasting, rtol=1e-5)
