"""Pieces of the page: markup, figures, projection, and what makes an item strange."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_run

from meio_jax.report.charts import Axes, Series, line_chart
from meio_jax.report.figures import compute
from meio_jax.report.geography import Frame, apart, frame_of, label_places, land_path
from meio_jax.report.html import prose, tag, text
from meio_jax.report.numbers import nice_ticks, number, share
from meio_jax.report.strange import largest, strangest
from meio_jax.runs.data import read_run


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("b", "<i>", class_='a"b') == '<b class="a&quot;b">&lt;i&gt;</b>'
    assert tag("p", tag("br"), None, ["x", ["y"]], hidden=True, title=None) == "<p hidden><br>xy</p>"
    assert text("bell\x07") == "bell\N{REPLACEMENT CHARACTER}"
    assert text("a\u202eb\u200bc\x9fd\n\te") == "a\ufffdb\ufffdc\ufffdd\n\te"
    assert prose("raise `a<b` now") == "raise <code>a&lt;b</code> now"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (-0.0, "0"), (1234.5, "1,234"), (-12.34, "−12.3"), (2.345e6, "2.35 M"), (1.5e9, "1.50 bn")]
    + [(0.0123, "0.012"), (2.0e-5, "2.0e-05"), (None, "–"), (math.nan, "–"), (math.inf, "∞"), (-3.0, "−3")],
)
def test_numbers_are_short(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_shares_are_percentages() -> None:
    assert share(0.1234) == "12.3 %"
    assert share(None) == "–"
    assert share(-0.0001) == "0.0 %"


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_cover_the_values(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * span
    assert ticks[-1] >= low + span * (1 - 1e-6)
    assert 2 <= len(ticks) <= 8
    leading = step / 10 ** math.floor(math.log10(step) + 1e-6)
    assert min(abs(leading - digit) for digit in (1, 2, 5)) < 1e-3


def test_a_line_is_drawn_where_its_values_are() -> None:
    chart = line_chart([Series("s", [0, 1, 2], [0.0, 10.0, 5.0], 1)], Axes("step", "cost"), label="a line")
    points = chart.split('class="line c1" d="M')[1].split('"')[0].replace("L", " ").split()
    heights = [float(at) for at in points[1::2]]
    assert heights[0] > heights[2] > heights[1], "larger values lie higher"
    assert heights[2] == pytest.approx((heights[0] + heights[1]) / 2, abs=0.1)


def test_conic_map_agrees_with_the_worked_example() -> None:
    # Snyder, Map Projections - A Working Manual (USGS Professional Paper 1395, 1987), p. 291: sphere of radius 1,
    # standard parallels 29.5 and 45.5 N, origin 23 N 96 W; the point 35 N 75 W lies at x = 0.2952720, y = 0.2416774.
    frame = Frame(west=-126, east=-66, south=25.5, north=49.5, width=1, height=1, conic=True)
    x, y = frame._plane(np.asarray([-75.0, -96.0]), np.asarray([35.0, 23.0]))
    assert x[0] == pytest.approx(0.2952720, abs=1e-7)
    assert y[0] - y[1] == pytest.approx(0.2416774, abs=1e-7)


@given(st.lists(st.tuples(st.floats(-170, 170), st.floats(-70, 70)), min_size=1, max_size=8))
def test_every_place_lies_on_the_map(places: list[tuple[float, float]]) -> None:
    longitude, latitude = np.asarray(places).T
    frame = frame_of(longitude, latitude, 1000, 600)
    x, y = frame.project(longitude, latitude)
    assert np.all((x >= 0) & (x <= 1000))
    assert np.all((y >= 0) & (y <= 600))


def test_land_lies_under_cities_and_not_under_oceans() -> None:
    longitude, latitude = np.asarray([-122.0, -70.0]), np.asarray([26.0, 48.0])
    frame = frame_of(longitude, latitude, 1000, 600)
    rings = [
        np.asarray([[float(v) for v in pair.split()] for pair in ring.split("L")])
        for ring in land_path(frame).removeprefix("M").removesuffix("Z").split("ZM")
    ]

    def inside(where: tuple[float, float]) -> bool:
        (x,), (y,) = frame.project(np.asarray([where[0]]), np.asarray([where[1]]))
        crossings = 0
        for ring in rings:
            a, b = ring, np.roll(ring, -1, axis=0)
            straddles = (a[:, 1] > y) != (b[:, 1] > y)
            height = np.where(straddles, b[:, 1] - a[:, 1], 1)
            crossings += int(np.sum(straddles & (x < a[:, 0] + (y - a[:, 1]) / height * (b[:, 0] - a[:, 0]))))
        return crossings % 2 == 1

    for city in ((-104.99, 39.74), (-87.9, 41.9), (-96.8, 32.8), (-84.4, 33.7)):
        assert inside(city), city
    for sea in ((-130.0, 40.0), (-72.0, 35.0), (-90.0, 26.5)):
        assert not inside(sea), sea


@given(st.integers(2, 12))
def test_places_are_pushed_apart(count: int) -> None:
    x, y = apart(np.zeros(count), np.zeros(count), 20.0)
    gap = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(count)
    assert gap.min() > 12


def test_names_on_the_map_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 180, (2, 30))
    width, radius = np.full(30, 60.0), np.full(30, 6.0)
    placed = label_places(x, y, radius, width, 14.0)
    boxes = []
    for anchor in placed:
        if anchor is not None:
            left = anchor[0] - {"start": 0.0, "middle": 30.0, "end": 60.0}[anchor[2]]
            boxes.append((left, anchor[1]))
    assert 3 < len(boxes) < 30
    for at, (left, base) in enumerate(boxes):
        for other_left, other_base in boxes[:at]:
            assert abs(left - other_left) >= 59 or abs(base - other_base) >= 8


def usual_items(count: int = 200) -> pl.DataFrame:
    """Items that differ a little from each other in every figure."""
    rng = np.random.default_rng(3)
    demand = rng.lognormal(4, 0.5, count)
    frame = {
        "item_id": [f"i{at}" for at in range(count)],
        "demand": demand,
        "shipped": demand * 0.98,
        "lost": demand * rng.uniform(0.01, 0.03, count),
        "downgraded": demand * rng.uniform(0.01, 0.02, count),
        "backordered": np.zeros(count),
        "stock": demand / 28 * rng.uniform(4, 9, count),
        "today": demand / 28 * rng.uniform(4, 9, count),
        "bought": demand / 28 * rng.uniform(3, 8, count),
        "outbound_cost": demand * rng.uniform(5, 7, count),
        "total_cost": demand * rng.uniform(5, 7, count),
        "price": np.full(count, 20.0),
        "weight_kg": np.ones(count),
        "places": np.full(count, 3),
    }
    return pl.DataFrame(frame)


def test_usual_items_are_not_strange() -> None:
    assert strangest(usual_items(), 28, 20) == []


@pytest.mark.parametrize(
    ("column", "factor", "words"),
    [
        ("lost", 30.0, "loses"),
        ("stock", 20.0, "days of demand on average"),
        ("outbound_cost", 9.0, "times as much to ship"),
        ("bought", 30.0, "is bought today for"),
        ("downgraded", 30.0, "downgraded"),
        ("today", 40.0, "in stock today"),
    ],
)
def test_an_item_unlike_the_rest_is_found_for_the_right_reason(column: str, factor: float, words: str) -> None:
    odd = usual_items().with_columns(
        pl.when(pl.col("item_id") == "i7").then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column)
    )
    found = strangest(odd, 28, 20)
    assert found[0].item_id == "i7"
    assert words in found[0].reason
    assert len(found) <= 2


def test_stock_without_demand_is_strange() -> None:
    gone = pl.when(pl.col("item_id") == "i3").then(0.0)
    odd = usual_items().with_columns(gone.otherwise(pl.col("demand")).alias("demand"))
    assert "no demand in the horizon" in strangest(odd, 28, 5)[0].reason


def test_no_reason_crowds_out_the_others() -> None:
    rng = np.random.default_rng(0)
    odd = usual_items().with_columns(
        (pl.col("lost") * pl.Series(np.where(np.arange(200) < 40, rng.uniform(20, 40, 200), 1))).alias("lost"),
        (pl.col("stock") * pl.Series(np.where(np.arange(200) == 100, 15.0, 1.0))).alias("stock"),
    )
    found = strangest(odd, 28, 9)
    assert "i100" in [one.item_id for one in found]


def test_the_largest_items_come_by_turnover() -> None:
    items = usual_items()
    turnover = (items["price"] * items["shipped"]).to_numpy()
    best = [items["item_id"][int(at)] for at in np.argsort(-turnover)[:5]]
    assert [one.item_id for one in largest(items, 5)] == best


def test_sums_by_site_and_item_are_those_of_the_tables(tmp_path) -> None:
    data = read_run(make_run(tmp_path))
    figures = compute(data)
    expected, nodes = data.table("plan/expected"), data.table("plan/expected_nodes")
    assert figures.sites["shipped"].sum() == pytest.approx(expected["units"].sum())
    assert figures.items["outbound_cost"].sum() == pytest.approx(expected["outbound_cost"].sum())
    assert figures.sites["mean_units"].sum() == pytest.approx(nodes["on_hand"].sum())
    volume = nodes.join(data.items, on="item_id").select((pl.col("on_hand") * pl.col("volume_m3")).sum()).item()
    assert figures.sites["mean_m3"].sum() == pytest.approx(volume)
    storage = figures.capacity.filter(kind="storage", bucket=0).row(0, named=True)
    assert storage["rent"] == pytest.approx(storage["price"] * storage["usage"] * 7)
