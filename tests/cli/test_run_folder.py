"""A run folder: the tables that are promised, consistent with each other and with the instance."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers import close
from small_runs import Command, Finished
from tiny import ITEMS, PERIODS, tiny_tables

from meio_jax.config import load_config

# Tables hold float32 sums; hundreds of units.
ROUNDING = 1e-4

COLUMNS = {
    "plan/targets": "item_id node_id bucket target target_units fast_target order_cap",
    "plan/orders": "item_id vendor_id node_id units packs unit_cost cost order_date due_date",
    "plan/transfers": "item_id from_node to_node units ship_date due_date",
    "plan/expected": "item_id node_id speed_id units outbound_cost handling_cost",
    "plan/expected_nodes": "item_id node_id on_hand received ordered purchase_cost inbound_cost transfer_cost "
    "holding_cost",
    "plan/expected_items": "item_id demand shipped lost downgraded backordered lost_cost downgrade_cost "
    "backorder_cost terminal_credit total_cost",
    "plan/flows": "kind from_id to_id speed_id units",
    "plan/service": "region_id region_group speed_id bucket wanted promised",
    "plan/planned_orders": "item_id vendor_id node_id bucket units units_p10 units_p90 unit_cost cost freight "
    "order_date due_date",
    "plan/planned_transfers": "item_id from_node to_node bucket units units_p10 units_p90 unit_cost cost ship_date "
    "due_date",
    "plan/unit_values": "item_id node_id on_hand next_value last_value",
    "plan/fulfilment": "storage_class weight_band up_to_kg bucket wave speed_id region_id rank node_id outbound_cost "
    "handling_cost price priced_cost",
    "plan/exceptions": "item_id node_id kind units money what mend",
    "plan/calendar": "date order_items order_units order_cost transfer_units",
    "prices": "resource_id kind bucket price usage capacity violation node_id to_node vendor_id region_group "
    "speed_id measure",
    "metrics": "step seconds cost lagrangian gap max_violation price_norm",
}


def table(run: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(run / f"{name}.parquet")


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_tables_have_their_columns(finished: Finished, name: str) -> None:
    frame = table(finished.folder, name)
    assert set(COLUMNS[name].split()) <= set(frame.columns)
    for column in frame.iter_columns():
        if column.dtype.is_float():
            assert column.is_null().all() or bool(column.drop_nulls().is_finite().all()), column.name


def test_planned_orders_and_transfers_add_up_to_the_certificate(finished: Finished) -> None:
    terms = json.loads((finished.folder / "certificate.json").read_text(encoding="utf-8"))["cost_terms"]
    orders, moves = (table(finished.folder, f"plan/planned_{name}") for name in ("orders", "transfers"))
    nodes = table(finished.folder, "plan/expected_nodes")
    assert orders["cost"].sum() == pytest.approx(terms["purchase"], rel=1e-5)
    assert moves["cost"].sum() == pytest.approx(terms["transfer"], rel=1e-5)
    assert moves["units"].sum() > 0
    rates = tiny_tables().nodes.select("node_id", rate="inbound_cost")
    receiving = nodes.join(rates, on="node_id").select(pl.col("received") * pl.col("rate"))
    assert orders["freight"].sum() + receiving.sum().item() == pytest.approx(terms["inbound"], rel=1e-5)
    for frame, day in ((orders, "order_date"), (moves, "ship_date")):
        assert (frame[day] < frame["due_date"]).all()
        assert (frame["units_p10"] <= frame["units_p90"]).all()
        week = (frame[day] - tiny_tables().settings.start_date).dt.total_days() // 7
        assert week.to_list() == frame["bucket"].to_list()
    calendar = table(finished.folder, "plan/calendar")
    assert calendar.height == PERIODS
    assert calendar["transfer_units"].sum() == pytest.approx(moves["units"].sum(), rel=1e-5)
    assert calendar["order_units"][0] == table(finished.folder, "plan/orders")["units"].sum()


def test_nodes_are_ranked_by_what_a_unit_costs_from_them(finished: Finished) -> None:
    """Item A (1 kg, a band of its own) to the east at standard: 4.00 + 0.50 x 1 kg from fc1, twice that from fc2."""
    ranked = table(finished.folder, "plan/fulfilment")
    own = ranked.filter(storage_class="ambient", bucket=1, wave=1, speed_id="standard", region_id="east")
    own = own.filter(pl.col("up_to_kg").is_not_null()).sort("weight_band", "rank").tail(2)
    assert own["node_id"].to_list() == ["fc1", "fc2"]
    close(own["outbound_cost"].to_numpy(), np.asarray([4.5, 10.5]), tolerance=1e-6)
    price = table(finished.folder, "prices").filter(kind="outbound", bucket=1)["price"].item()
    close(own["price"].to_numpy(), np.asarray([0.0, price]), tolerance=1e-5)
    close(own["priced_cost"].to_numpy(), np.asarray([5.3, 11.4 + price]), tolerance=1e-5)
    # After its cut-offs nobody delivers in a day; before them one node reaches each region.
    fast = ranked.filter(speed_id="one_day", storage_class="ambient")
    assert set(fast["wave"].to_list()) == {0}
    assert set(fast.select("region_id", "node_id").rows()) == {("east", "fc1"), ("west", "fc2")}
    keys = ["storage_class", "weight_band", "bucket", "wave", "speed_id", "region_id"]
    assert ranked.group_by(keys, maintain_order=True).agg(pl.col("priced_cost").diff().min())["priced_cost"].min() >= 0


def test_every_place_of_an_item_has_a_value_of_its_next_unit(finished: Finished) -> None:
    units = table(finished.folder, "plan/unit_values")
    targets = table(finished.folder, "plan/targets").select("item_id", "node_id").unique()
    assert set(units.select("item_id", "node_id").rows()) == set(targets.rows())
    assert units["next_value"].null_count() == 0
    assert units.filter(pl.col("last_value").is_null())["on_hand"].max() == 0
    assert units.filter(pl.col("last_value").is_not_null())["on_hand"].min() > 0


def test_show_says_what_to_buy_and_when_the_next_order_is_expected(finished: Finished, meio: Command) -> None:
    calendar, today = table(finished.folder, "plan/calendar"), table(finished.folder, "plan/orders")
    assert today.height
    shown = meio("show", finished.folder)
    listed = table(finished.folder, "plan/exceptions")
    assert listed["money"].is_sorted(descending=True)
    assert listed["money"].min() >= 1.0
    assert f"most money at stake of {listed.height}" in shown.out
    assert f"To buy today: {today['units'].sum():,} units" in shown.out
    later = calendar.slice(1).filter(pl.col("order_items").cum_sum() >= 0.5)["date"][0]
    assert f"The next order is expected on {later:%a %d %b %Y}" in shown.out


def test_nothing_else_is_left_in_the_folder(finished: Finished) -> None:
    expected = {f"{name}.parquet" for name in COLUMNS} | {"config.yaml", "certificate.json", "instance.json"}
    expected |= {"census.json", ".meio.json", ".meio.lock"}
    found = {str(p.relative_to(finished.folder)) for p in finished.folder.rglob("*") if p.is_file()}
    assert expected <= found
    assert all(name.startswith("checkpoints/") for name in found - expected), found - expected


def test_certificate_is_plain_json(finished: Finished) -> None:
    certificate = json.loads((finished.folder / "certificate.json").read_text(encoding="utf-8"))
    low, high = certificate["holdout_cost_ci95"]
    assert low <= certificate["holdout_cost"] <= high
    assert certificate["lagrangian_label"] in ("bound", "estimate")
    close(sum(certificate["cost_terms"].values()), certificate["holdout_cost"], tolerance=ROUNDING)
    assert certificate["largest_violation"] == max(row["relative"] for row in certificate["violations"])
    assert {row["kind"] for row in certificate["violations"]} == set(table(finished.folder, "prices")["kind"])
    assert certificate["steps"] == table(finished.folder, "metrics").height


def test_resolved_configuration_is_kept(finished: Finished) -> None:
    kept, asked = load_config(finished.folder / "config.yaml"), load_config(finished.config)
    assert kept == asked


def test_expected_tables_add_up(finished: Finished) -> None:
    items = table(finished.folder, "plan/expected_items").sort("item_id")
    assert items["item_id"].to_list() == sorted(ITEMS)
    speeds = table(finished.folder, "plan/expected").group_by("item_id").agg(pl.col(pl.Float64).sum()).sort("item_id")
    close(speeds["units"].to_numpy(), items["shipped"].to_numpy(), tolerance=ROUNDING)
    terms = finished.plan.certificate.cost_terms
    close(speeds["outbound_cost"].sum(), terms["outbound"], tolerance=ROUNDING)
    close(speeds["handling_cost"].sum(), terms["handling"], tolerance=ROUNDING)
    nodes = table(finished.folder, "plan/expected_nodes")
    for column, term in (("purchase_cost", "purchase"), ("inbound_cost", "inbound"), ("transfer_cost", "transfer")):
        close(nodes[column].sum(), terms[term], tolerance=ROUNDING, what=term)
    close(nodes["holding_cost"].sum(), terms["holding"], tolerance=ROUNDING)
    close(items["total_cost"].sum(), finished.plan.certificate.holdout_cost, tolerance=ROUNDING)


def test_demand_is_that_of_the_forecast(finished: Finished) -> None:
    mean = tiny_tables().forecast.group_by("item_id").agg(pl.col("mean").sum()).sort("item_id")
    items = table(finished.folder, "plan/expected_items").sort("item_id")
    # Six scenarios of 14 days of counts with variance m + 0.3 m^2: five standard errors.
    daily = mean["mean"].to_numpy() / PERIODS
    error = np.sqrt(PERIODS * (daily + 0.3 * daily**2) / 6)
    assert np.all(np.abs(items["demand"].to_numpy() - mean["mean"].to_numpy()) < 5 * error)


def test_orders_are_whole_packs_and_at_least_the_minimum(finished: Finished) -> None:
    orders = table(finished.folder, "plan/orders")
    assert orders.height > 0
    offers = tiny_tables().offers.select("item_id", "vendor_id", "node_id", "pack_size", "min_order", "unit_cost")
    joined = orders.join(offers, on=["item_id", "vendor_id", "node_id"], how="left", suffix="_offer")
    assert joined["pack_size"].null_count() == 0, "an order without an offer"
    assert orders["units"].dtype.is_integer()
    assert bool((joined["units"] == joined["packs"] * joined["pack_size"]).all())
    assert bool((joined["units"] >= joined["min_order"]).all())
    assert bool((joined["units"] > 0).all())
    close(joined["unit_cost"].to_numpy(), joined["unit_cost_offer"].to_numpy(), tolerance=1e-6)
    close(joined["cost"].to_numpy(), (joined["units"] * joined["unit_cost_offer"]).to_numpy(), tolerance=1e-6)
    assert bool((orders["due_date"] > orders["order_date"]).all())
    assert orders["order_date"].unique().to_list() == [tiny_tables().settings.start_date]


def test_orders_are_placed_on_review_days_only(finished: Finished) -> None:
    # fc2 reviews on odd days; the plan is for day 0.
    assert "fc2" not in table(finished.folder, "plan/orders")["node_id"].to_list()
    assert "fc2" not in table(finished.folder, "plan/transfers")["to_node"].to_list()


def test_transfers_are_whole_and_in_stock(finished: Finished) -> None:
    tables, moved = tiny_tables(), table(finished.folder, "plan/transfers")
    assert moved["units"].dtype.is_integer()
    lanes = set(tables.lanes.select("from_node", "to_node").iter_rows())
    assert set(moved.select("from_node", "to_node").iter_rows()) <= lanes
    arriving = tables.on_order.filter(pl.col("period_due") == 0).drop("period_due")
    stock = pl.concat([tables.on_hand, arriving]).group_by("item_id", "node_id").agg(pl.col("units").sum())
    sent = moved.group_by("item_id", "from_node").agg(pl.col("units").sum().alias("sent"))
    joined = sent.join(stock, left_on=["item_id", "from_node"], right_on=["item_id", "node_id"], how="left")
    assert bool((joined["sent"] <= joined["units"].fill_null(0)).all())


def test_targets_cover_every_bucket_and_accepted_node(finished: Finished) -> None:
    targets = table(finished.folder, "plan/targets")
    assert set(targets["bucket"]) == {0, 1}
    assert bool((targets["target"] >= 0).all())
    assert targets["target_units"].dtype.is_integer()
    close(targets["target_units"].to_numpy(), targets["target"].to_numpy(), tolerance=0.5001)
    # Item C is chilled, and fc2 takes ambient goods only.
    assert targets.filter(item_id="C", node_id="fc2").height == 0


def test_prices_name_every_resource_and_bucket(finished: Finished) -> None:
    prices = table(finished.folder, "prices")
    resources = tiny_tables().resources
    assert set(prices["resource_id"]) == set(resources["resource_id"])
    assert prices.height == 2 * resources["resource_id"].n_unique()
    assert bool((prices["price"] >= 0).all())
    outbound = prices.filter(resource_id="outbound").sort("bucket")
    # The capacities as given, in the unit of the table (kg per day), not as optimised with a margin.
    close(outbound["capacity"].to_numpy(), np.asarray([90.0, 99.0]), tolerance=1e-6)
    service = prices.filter(kind="service")
    assert bool(service["usage"].is_between(0, 1).all())
    close(service["capacity"].to_numpy(), np.full(2, 0.9), tolerance=1e-6)


def test_show(meio: Command, finished: Finished) -> None:
    called = meio("show", finished.folder)
    assert called.status == 0
    for word in ("cost on holdout", "largest violation", "clairvoyant bound", "storage", "lost sale"):
        assert word in called.out, word


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_export(meio: Command, finished: Finished, tmp_path: Path, format: str) -> None:
    called = meio("export", finished.folder, "--format", format, "--out", tmp_path)
    assert called.status == 0
    read = pl.read_csv if format == "csv" else pl.read_parquet
    for name in COLUMNS:
        ours, theirs = read(tmp_path / f"{name}.{format}"), table(finished.folder, name)
        assert (ours.columns, ours.height) == (theirs.columns, theirs.height)
    assert (tmp_path / "certificate.json").exists()


def test_validate(meio: Command, tiny_folder: Path) -> None:
    called = meio("validate", tiny_folder)
    assert called.status == 0
    assert "3 items" in called.out


def test_flows_by_region_add_up_to_those_by_item(finished: Finished) -> None:
    flows = table(finished.folder, "plan/flows")
    delivered = flows.filter(kind="customer").group_by("from_id", "speed_id").agg(pl.col("units").sum())
    expected = table(finished.folder, "plan/expected").group_by("node_id", "speed_id").agg(pl.col("units").sum())
    joined = delivered.join(expected, left_on=["from_id", "speed_id"], right_on=["node_id", "speed_id"], how="full")
    assert joined.null_count().sum_horizontal().item() == 0
    close(joined["units"].to_numpy(), joined["units_right"].to_numpy(), tolerance=ROUNDING)
    nodes = table(finished.folder, "plan/expected_nodes")
    close(flows.filter(pl.col("kind") != "customer")["units"].sum(), nodes["ordered"].sum(), tolerance=ROUNDING)
    # What is shipped to a region must be there to be shipped: only pairs of the transit table.
    connected = set(tiny_tables().transit.select("node_id", "region_id").iter_rows())
    assert set(flows.filter(kind="customer").select("from_id", "to_id").iter_rows()) <= connected


def test_service_by_region_adds_up_to_the_floors(finished: Finished) -> None:
    service = table(finished.folder, "plan/service")
    assert bool((service["promised"] <= service["wanted"] * (1 + ROUNDING)).all())
    items = table(finished.folder, "plan/expected_items")
    close(service["wanted"].sum(), items["demand"].sum(), tolerance=ROUNDING)
    # The floor of the instance covers both regions, which are one group, at the fast promise.
    own = service.filter(speed_id="one_day").group_by("bucket").agg(pl.col("wanted", "promised").sum()).sort("bucket")
    floor = table(finished.folder, "prices").filter(kind="service").sort("bucket")
    close((own["promised"] / own["wanted"]).to_numpy(), floor["usage"].to_numpy(), tolerance=ROUNDING)
