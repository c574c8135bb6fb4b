"""Parts of the generator against figures worked out by hand or by simulation."""

import numpy as np
import pytest

from meio_jax.generate.capacity import by_bucket
from meio_jax.generate.demand import demand_quantiles, draw_demand
from meio_jax.generate.geography import choose_sites, distance_km, metros, parcel_zone
from meio_jax.generate.options import GenerateOptions
from meio_jax.generate.stock import plan_stock, starting_pipeline
from meio_jax.generate.supply import make_network


def test_distance_of_known_cities() -> None:
    # New York to Los Angeles, great circle: 3,936 km
    found = distance_km(np.array([40.7128]), np.array([-74.0060]), np.array([34.0522]), np.array([-118.2437]))
    assert found[0, 0] == pytest.approx(3936, abs=5)


def test_zones_by_miles() -> None:
    miles = np.array([0.0, 50.0, 51.0, 150.0, 599.0, 601.0, 1800.0, 1801.0])
    assert parcel_zone(miles * 1.609344).tolist() == [1, 1, 2, 2, 4, 5, 7, 8]


def test_metros_are_sane() -> None:
    places = metros()
    assert len(places.name) == len({*zip(places.name.tolist(), places.country.tolist(), strict=True)})
    assert (places.country == "US").sum() >= 120
    assert (places.country != "US").sum() >= 80
    assert (places.population >= 1e5).all()


def test_k_median_on_a_line() -> None:
    x = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    chosen = choose_sites(np.abs(x[:, None] - x[None, :]), np.ones(6), 2)
    assert sorted(chosen.tolist()) == [1, 4]
    assert choose_sites(np.zeros((3, 2)), np.ones(2), 3).tolist() == [0, 1, 2]


def test_negative_binomial_moments_and_quantiles() -> None:
    rng = np.random.default_rng(0)
    mean, dispersion = np.array([[0.4], [5.0], [80.0]]), 0.5
    levels = (0.05, 0.5, 0.95)
    quantile = demand_quantiles(mean, np.array([[dispersion]]), levels)[:, :, 0]
    units = draw_demand(rng, np.broadcast_to(mean, (3, 40_000)), np.float64(dispersion))
    assert units.mean(axis=1) == pytest.approx(mean[:, 0], rel=0.02)
    assert units.var(axis=1) == pytest.approx((mean + dispersion * mean**2)[:, 0], rel=0.06)
    seen = np.quantile(units, levels, axis=1, method="inverted_cdf")
    assert np.abs(quantile - seen)[:, :2].max() <= 1.0
    # the gamma approximation of fast movers: to a unit, or 5 %
    assert quantile[:, 2] == pytest.approx(seen[:, 2], rel=0.05, abs=1.0)


def test_short_last_bucket() -> None:
    assert by_bucket(np.arange(5.0), 5, 2).tolist() == [0.5, 2.5, 4.0]


def test_pipeline_holds_the_demand_of_a_lead_time() -> None:
    network = make_network(GenerateOptions())
    rate = np.full((400, len(network.node_id)), 0.3)
    plan = plan_stock(network, rate, np.full(400, 0.3), np.full(400, 20.0), np.zeros(400))
    u = np.random.default_rng(1).random(rate.shape)
    item, node, due, units = starting_pipeline(network, plan, u, 42)
    assert (due >= 0).all()
    assert (due < 42).all()
    per_node = np.bincount(node, units, minlength=len(network.node_id)) / 400
    # orders of past reviews that are still under way cover the lead time, within one review interval
    assert (np.abs(per_node - 0.3 * plan.lead[0]) <= 0.3 * network.review + 0.05).all()
    assert item.max() == 399
