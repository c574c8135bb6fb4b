"""What is valid but probably not meant is told, and what no customer can get is refused."""

from __future__ import annotations

import polars as pl
import pytest
from folders import Frames, add, column, drop_row, put
from test_table_door import TINY, kinds, warned
from tiny import tiny_frames, tiny_settings, tiny_tables

from meio_jax.errors import InputError
from meio_jax.tables import Tables


def with_damage(*damages, **settings: object) -> Tables:
    frames = tiny_frames()
    for damage in damages:
        damage(frames)
    return Tables.from_frames(tiny_settings().model_copy(update=settings), **frames)


def test_the_tiny_instance_warns_of_what_it_has() -> None:
    tables = tiny_tables()
    assert kinds(tables) == TINY
    # West in wave 1 is reached by fc2 after its cut-off at 16 only on the next day but one; both profiles ask for it.
    assert warned(tables, "promises not met").count == 4
    assert "lost_sale_cost 10.0, cheapest offer 10.2" in warned(tables, "sales that do not pay").example


def isolated(frames: Frames) -> None:
    """dc1 supplies nobody: item B is bought there only, and no stock of it lies elsewhere."""
    drop_row("lanes", pl.col("from_node") == "dc1")(frames)
    drop_row("on_hand", pl.col("item_id") == "B")(frames)
    drop_row("resources", pl.col("kind") == "lane")(frames)


def test_an_item_that_no_customer_can_get_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 problem .*\n.*row 2 \(item_id=B\).*brought to some customer"):
        with_damage(isolated)


def test_an_item_that_its_nodes_do_not_accept_is_refused() -> None:
    """Stock of the chilled item lies at fc2, which takes ambient goods only."""

    def damage(frames: Frames) -> None:
        drop_row("offers", pl.col("item_id") == "C")(frames)
        put("on_hand", 3, node_id="fc2")(frames)

    with pytest.raises(InputError, match=r"item_id=C.*brought to some customer"):
        with_damage(damage)


def test_an_item_that_some_customers_cannot_get_is_told() -> None:
    """From fc1 alone, without its slow speed, the west is out of reach: half the demand of the chilled item."""

    def damage(frames: Frames) -> None:
        drop_row("transit", (pl.col("node_id") == "fc1") & (pl.col("region_id") == "west"))(frames)

    found = warned(with_damage(damage), "out of reach")
    assert found.count == 1
    assert "item_id=C" in found.example
    assert "50.0 % of the demand of profile frozen" in found.example


def test_lanes_are_followed_over_several_nodes() -> None:
    """B is bought at dc1 only; it reaches the west, which only fc2 serves, by way of fc1. Chilled goods do not."""

    def damage(frames: Frames) -> None:
        put("lanes", 1, from_node="fc1")(frames)
        drop_row("on_hand", pl.col("item_id") == "B")(frames)
        drop_row("transit", (pl.col("node_id") == "fc1") & (pl.col("region_id") == "west"))(frames)

    found = warned(with_damage(damage), "out of reach")
    assert found.count == 1
    assert "item_id=C" in found.example


def test_offers_of_no_use_are_told() -> None:
    def damage(frames: Frames) -> None:
        isolated(frames)
        add("on_hand", item_id="B", node_id="fc1")(frames)

    found = warned(with_damage(damage), "offers without customers")
    assert found.count == 2  # of A and of B at dc1
    assert "no customer of profile all is reached from dc1" in found.example


WARNED = {
    "grams": (put("items", 0, weight_kg=1200.0), "units of size", "weight_kg 1200.0; 1.2 if it is in grams"),
    "litres": (put("items", 2, volume_m3=8.0), "units of size", "volume_m3 8.0; 0.008 if it is in litres"),
    "credit": (put("items", 0, unit_cost=12.0), "credit above price", "credit 12.0"),
    "free": (column("transit", "cost_per_unit", [0.0] * 4), "all zero", "cost_per_unit of transit"),
    "late": (put("offers", 2, lead_time_mean=14.0, lead_time_law="fixed"), "long lead times", "lead_time_mean 14.0"),
    "half": (put("offers", 1, lead_time_mean=2.5), "parts of days", "lead_time_mean 2.5"),
    "bucket": (drop_row("resources", pl.col("bucket") == 1), "buckets without capacity", "rows for 1 of 2 buckets"),
    "full": (put("on_hand", 1, units=501.0), "stock above storage", "5.01 m3 at fc1, room for 5.0"),
    "least": (put("offers", 1, min_order=600), "least order above storage", "600 units take 6.0 m3, room for 5.0"),
    "pack": (put("offers", 1, pack_size=600), "least order above storage", "600 units take 6.0 m3"),
    "overdue": (put("on_order", 0, period_due=-3), "overdue orders", "24.0 units due in period -3"),
    "vendor": (put("offers", 0, vendor_id="V1"), "near-equal ids", "'V1' (offers)"),
    "least part": (column("offers", "min_order", [110.231, 0.0, 0.0, 0.0]), "parts of units", "110.231"),
    "pack part": (column("offers", "pack_size", [0.5, 1.0, 1.0, 1.0]), "parts of units", "0.5"),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_probably_not_meant_is_told(name: str) -> None:
    damage, kind, example = WARNED[name]
    tables = with_damage(damage)
    assert kinds(tables) - TINY == {kind}
    found = warned(tables, kind)
    assert found.count == 1
    assert example in found.example
    assert found.remedy


def test_each_kind_is_one_line_with_a_count() -> None:
    found = warned(with_damage(put("items", 0, weight_kg=1200.0), put("items", 1, weight_kg=3000.0)), "units of size")
    assert found.count == 2
    assert str(found).count("\n") == 0


def many_items(**changes: float) -> Frames:
    """The tiny instance with ten more items like A, the last of them changed."""
    frames = tiny_frames()
    many = pl.concat([frames["items"].head(1).with_columns(item_id=pl.lit(f"N{n}")) for n in range(10)])
    stock = pl.DataFrame({"item_id": many["item_id"], "node_id": "fc1", "units": 1.0})
    frames["items"] = pl.concat([frames["items"], many])
    frames["on_hand"] = pl.concat([frames["on_hand"], stock])
    daily = frames["forecast"].filter(pl.col("item_id") == "A")
    more = [daily.with_columns(item_id=pl.lit(name)) for name in many["item_id"]]
    frames["forecast"] = pl.concat([frames["forecast"], *more])
    put("items", 12, **changes)(frames)
    return frames


def test_peers_show_a_size_that_is_off() -> None:
    # 1.5 t and 15 m3: a density that goods have, but a thousand times the others.
    frames = many_items(weight_kg=1500.0, volume_m3=15.0, unit_cost=9000.0)
    tables = Tables.from_frames(tiny_settings(), **frames)
    told = [one for one in tables.warnings if one.kind == "units of size"]
    assert sorted(one.example.split(": ")[1] for one in told) == ["volume_m3 15.0", "weight_kg 1500.0"]


def test_hours_that_are_seconds_show_among_their_peers() -> None:
    frames = many_items()
    hours = [0.004] * 12 + [14.4]
    frames["items"] = frames["items"].with_columns(hours_per_unit=pl.Series(hours))
    found = warned(Tables.from_frames(tiny_settings(), **frames), "units of size")
    assert "hours_per_unit 14.4" in found.example
    assert "divide it by 3600" in found.remedy


def test_grams_and_litres_together_show_in_what_an_item_is_worth() -> None:
    """0.4 kg and 4 l, given as 400 kg and 4 m3: such a density and size there are, at that cost not."""
    tables = Tables.from_frames(tiny_settings(), **many_items(weight_kg=400.0, volume_m3=4.0))
    told = [one for one in tables.warnings if one.kind == "units of size"]
    assert all("item_id=N9" in one.example for one in told)
    assert ["grams" in one.what for one in told] == [True, False]
    assert "litres" in told[1].what
    dear = Tables.from_frames(tiny_settings(), **many_items(weight_kg=400.0, volume_m3=4.0, unit_cost=2000.0))
    assert "units of size" not in kinds(dear)


def test_overdue_orders_arrive_in_the_first_period() -> None:
    tables = with_damage(put("on_order", 0, period_due=-3))
    assert tables.on_order["period_due"].to_list() == [0, 5]


def test_least_orders_are_never_undercut_by_rounding() -> None:
    tables = with_damage(column("offers", "min_order", [110.231, 0.0, 0.0, 24.0]))
    assert tables.offers["min_order"].to_list() == [111, 0, 0, 24]
    tables = with_damage(column("offers", "pack_size", [0.5, 0.1, 12.0, 0.25]))
    assert tables.offers["pack_size"].to_list() == [1, 1, 12, 1]
    with pytest.raises(InputError, match=r"found 0.3; expected a whole number"):
        with_damage(column("offers", "pack_size", [0.3, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (column("offers", "lead_time_mean", [0.0, 3.0, 12.0, 5.0]), "the next morning"),
        (column("offers", "lead_time_mean", [0.5, 3.0, 12.0, 5.0]), "from the morning of day t"),
        (column("lanes", "lead_time", [0, 4]), "the next morning"),
        (put("on_hand", 0, units=-10.0), "write them into the table `backlog`"),
    ],
)
def test_what_cannot_be_given_is_told_with_what_means_the_same(damage, words: str) -> None:
    with pytest.raises(InputError, match=words):
        with_damage(damage)


def test_nothing_has_a_size_where_nothing_counts_it() -> None:
    def digital(frames: Frames) -> None:
        frames["resources"] = frames["resources"].filter(~pl.col("measure").is_in(["m3", "kg"]))
        put("items", 0, volume_m3=0.0, weight_kg=0.0)(frames)

    assert with_damage(digital).items["volume_m3"][0] == 0.0
    with pytest.raises(InputError, match="resource outbound counts kg"):
        with_damage(put("items", 0, weight_kg=0.0))


@pytest.mark.parametrize(
    ("kept", "rows"), [(pl.col("period") % 7 == 0, "rows of weeks by their day"), (pl.col("period") < 2, "numbered")]
)
def test_weekly_rows_of_a_daily_forecast_are_one_line_with_advice(kept: pl.Expr, rows: str) -> None:
    """Fourteen days with two rows an item: one problem for all items, which says how to plan by the week."""
    with pytest.raises(InputError) as caught:
        with_damage(lambda frames: frames.update(forecast=frames["forecast"].filter(kept)))
    (problem,) = caught.value.problems
    assert problem.where.startswith("all 3 forecasts (item_id) alike, the first of them item_id=A")
    assert "12 of 14 periods missing" in str(problem)
    assert "probably of weeks" in str(problem), rows
    assert "period: week and periods: 2" in problem.remedy


def test_missing_days_that_are_no_weeks_are_to_be_added() -> None:
    with pytest.raises(InputError) as caught:
        with_damage(lambda frames: frames.update(forecast=frames["forecast"].filter(pl.col("period") < 5)))
    (problem,) = caught.value.problems
    assert problem.remedy == "add the missing rows (with 0 where no demand is expected)"


def test_a_wrong_date_format_is_one_line() -> None:
    """However many rows have it, and the number of the period that the date stands for is not missed as well."""
    days = [f"03/{1 + day % 28:02}/2025" for day in range(120)]
    due = pl.DataFrame({"item_id": "A", "node_id": "fc1", "due_date": days, "units": 1.0})
    with pytest.raises(InputError) as caught:
        with_damage(lambda frames: frames.update(on_order=due))
    (problem,) = caught.value.problems
    assert problem.column == "due_date"
    assert "all 120 rows" in problem.where
    assert "YYYY-MM-DD" in problem.expected
