"""One pool of demand, two sites and two parcel costs against the closed form."""

import datetime

import numpy as np
import one_site
import polars as pl
import pytest
from measured import agrees, measure
from two_sites import Pair

from meio_jax.tables import InstanceSettings, Tables

MEAN, PARCELS, LOST, HOLDING = 12.0, (3.0, 5.5), 20.0, 0.8
PAIR = Pair(one_site.poisson(MEAN), PARCELS, LOST, HOLDING)
STOCK = np.array([[4.3, 3.4], [9.35, 4.25], [12.6, 0.15], [15.2, 6.55]])


def instance() -> Tables:
    """Day 0 is for ordering, demand comes on day 1; an item for every pair of stocks."""
    names, sites = [f"i{number}" for number in range(len(STOCK))], ["near", "far"]
    frames = {
        "items": [
            {
                "item_id": name,
                "volume_m3": 1.0,
                "weight_kg": 1.0,
                "price": 0.0,
                "unit_cost": 0.0,
                "holding_cost": HOLDING,
                "lost_sale_cost": LOST,
                "profile": "all",
            }
            for name in names
        ],
        "nodes": [{"node_id": site, "kind": "fc", "review_period": 2} for site in sites],
        "regions": [{"region_id": "town"}],
        "speeds": [{"speed_id": "any", "promise_days": 2, "deliver_by_hour": 24.0}],
        "transit": [
            {"node_id": site, "region_id": "town", "hours": 1.0, "cost_per_unit": cost}
            for site, cost in zip(sites, PARCELS, strict=True)
        ],
        "cutoffs": [{"node_id": site, "speed_id": "any", "cutoff_hour": 24.0} for site in sites],
        "shares": [{"profile": "all", "region_id": "town", "speed_id": "any", "wave": 0, "share": 1.0}],
        "offers": [
            {"item_id": name, "vendor_id": "v", "node_id": site, "unit_cost": 0.0, "lead_time_mean": 1.0}
            for name in names
            for site in sites
        ],
        "forecast": [
            {"item_id": name, "period": day, "mean": mean, "dispersion": 0.0}
            for name in names
            for day, mean in ((0, 0.0), (1, MEAN))
        ],
    }
    settings = InstanceSettings(
        name="pair",
        start_date=datetime.date(2025, 1, 6),
        periods=2,
        bucket_periods=2,
        warmup_periods=1,
        wave_ends=(24.0,),
        forecast="mean",
        terminal_credit=0.0,
        stationary_targets=True,
        terminal="liquidate",
    )
    return Tables.from_frames(settings, **{name: pl.DataFrame(rows) for name, rows in frames.items()})


def test_cost_and_slopes_are_those_of_the_closed_form(x64: None) -> None:
    found = measure(instance(), STOCK.T)
    costs = np.array([PAIR.cost(*pair) for pair in STOCK])
    slopes = np.array([PAIR.slopes(*pair) for pair in STOCK]).T
    agrees(found.cost, found.cost_error, costs, of=costs)
    agrees(found.slope, found.slope_error, slopes, of=LOST)


@pytest.mark.parametrize("pair", STOCK.tolist())
def test_the_closed_form_is_right(pair: list[float]) -> None:
    """Against the sum over demands of what each costs, and its slopes against differences."""
    demand = np.arange(len(PAIR.demand.probability))
    near = np.minimum(demand, pair[0])
    far = np.minimum(demand - near, pair[1])
    lost = demand - near - far
    each = PARCELS[0] * near + PARCELS[1] * far + LOST * lost + HOLDING * (sum(pair) - near - far)
    assert PAIR.cost(*pair) == pytest.approx(float(each @ PAIR.demand.probability), rel=1e-10)
    step = 1e-6
    for site, slope in enumerate(PAIR.slopes(*pair)):
        moved = [stock + step * (place == site) for place, stock in enumerate(pair)]
        assert (PAIR.cost(*moved) - PAIR.cost(*pair)) / step == pytest.approx(slope, abs=1e-5)
