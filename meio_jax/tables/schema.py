"""The tables of an instance folder, declared once.

Reading, validation and the page `docs/format.md` all follow these declarations. Checks that look at more
than one table, or at several rows, are in the `check_*` modules.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from meio_jax.tables.columns import MOST, Column, ColumnType, Reference, Table
from meio_jax.tables.lane_use import USES
from meio_jax.tables.measures import MEASURES
from meio_jax.tables.settings import LONGEST

ITEM_TABLES = (
    *("items", "offers", "forecast", "on_hand", "on_order", "assortment", "backlog"),
    *("overrides", "planned_orders", "expiries", "price_breaks"),
)
"""Tables that grow with the catalog; all others describe the network and are small."""

RESOURCE_KINDS = ("storage", "inbound", "outbound", "lane", "vendor", "spend", "service", "in_stock")
FLOOR_KINDS = ("service", "in_stock")
"""Kinds of which there is a least, as a share, and no most."""


_BACKLOG_HINT = (
    "write 0; units owed to customers at the start are demand that waits: write them into the table `backlog` "
    "(item_id, units; for items of unmet `backorder`)"
)
_LEAD_HINT = (
    "write 1 for what is there the next morning, the soonest that is planned: what is ordered in the morning of day t "
    "with a lead time of L days can be used from the morning of day t + L"
)


def _column(type: ColumnType, name: str, meaning: str, unit: str = "", **rest: Any) -> Column:
    if type in ("float", "int"):
        rest.setdefault("le", MOST if type == "float" else int(MOST))
    return Column(name, type, meaning, unit, **rest)


_string = partial(_column, "string")
_float = partial(_column, "float")
_int = partial(_column, "int")
_date = partial(_column, "date")
_bool = partial(_column, "bool")
_money = partial(_column, "float", ge=0, le=1e12)
_days = partial(_column, "int", unit="days", le=LONGEST)

_LATITUDE = _float("latitude", "for maps only", "degrees", ge=-90, le=90, nullable=True)
_LONGITUDE = _float("longitude", "for maps only", "degrees", ge=-180, le=180, nullable=True)
_COUNTRY = _string("country", "for reports", default="")

_ITEM = Reference(("item_id",), "items", ("item_id",))
_NODE = Reference(("node_id",), "nodes", ("node_id",))
_REGION = Reference(("region_id",), "regions", ("region_id",))
_SPEED = Reference(("speed_id",), "speeds", ("speed_id",))

ITEMS = Table(
    "items",
    "What is sold.",
    (
        _string("item_id", "the item"),
        _string("name", "what people call it, for tables and report", default=""),
        _float("volume_m3", "volume of one unit; 0 where no resource counts m3", "m3", ge=0, le=1e6),
        _float("weight_kg", "weight of one unit; 0 where no resource counts kg", "kg", ge=0, le=1e6),
        _float(
            "units_per_pallet",
            "units on a full pallet; needed where a resource counts pallets",
            "units per pallet",
            gt=0,
            nullable=True,
        ),
        _float(
            "hours_per_unit",
            "work that moving a unit takes; needed where a resource counts hours",
            "hours per unit",
            gt=0,
            nullable=True,
        ),
        _float(
            "units_per_line",
            "units that a customer orders at once, on average: what an order line of `outbound` capacity holds",
            "units per order line",
            gt=0,
            default=1.0,
        ),
        _money("price", "selling price", "money per unit"),
        _money("unit_cost", "replacement cost; values stock left at the horizon", "money per unit"),
        _money("holding_cost", "cost of holding a unit for a day", "money per unit and day"),
        _money(
            "lost_sale_cost",
            "cost of a lost sale: the price that is not earned, and goodwill; not the margin, since what is bought is "
            "charged by itself",
            "money per unit",
        ),
        _money("backorder_cost", "cost of a waiting unit of demand", "money per unit and day", default=0.0),
        _string(
            "unmet",
            "what becomes of demand that no node can serve",
            default="lost",
            allowed=("lost", "backorder"),
        ),
        _float(
            "downgrade_share",
            "share of unserved demand that accepts the next slower speed",
            ge=0,
            le=1,
            default=0.0,
        ),
        _money("downgrade_cost", "cost of a downgrade to the next slower speed", "money per unit", default=0.0),
        _string("storage_class", "class of storage the item needs", default="ambient"),
        _string("item_class", "class of the item (such as A, B, C), for service floors", default="all"),
        _string("profile", "profile in `shares` by which demand is split", default="all"),
        _date(
            "phase_out",
            "day from which on nothing more is bought of the item: what there is is sold, and moved to where it sells; "
            "what is left at the end is worth nothing where business goes on",
            nullable=True,
        ),
        _days(
            "shelf_life",
            "days on which a unit can be sold, that of its receipt from the vendor included: what is left of it at the "
            "end of the last is disposed of; age goes on under way and at other nodes; empty: it keeps",
            ge=1,
            nullable=True,
        ),
        _float(
            "waste_cost",
            "cost of disposing of a unit that expired, beside what it was bought for; below 0 where it still earns "
            "something",
            "money per unit",
            ge=-1e12,
            le=1e12,
            default=0.0,
        ),
        _string(
            "like_item",
            "item whose forecast this one takes if it has none, or whose past sales stand before its own first ones",
            nullable=True,
        ),
        _float("like_factor", "multiplies what is taken of `like_item`", ge=0, le=1e6, default=1.0),
        _float(
            "rate",
            "mean demand of an item that has no forecast, or no past sales or only few, and no `like_item`; Poisson",
            "units per period",
            ge=0,
            nullable=True,
        ),
    ),
    key=("item_id",),
    item_column="item_id",
)

NODES = Table(
    "nodes",
    "Places that hold stock.",
    (
        _string("node_id", "the node"),
        _string("name", "what people call it, for tables and report", default=""),
        _string("kind", "kind of node", allowed=("dc", "fc", "same_day")),
        _LATITUDE,
        _LONGITUDE,
        _COUNTRY,
        _string("storage_classes", "storage classes the node accepts, parted by `;`; empty: all", default=""),
        _string("node_group", "group of nodes, for service floors", default="all"),
        _float("holding_factor", "multiplies the holding cost of every item", ge=0, default=1.0),
        _money("handling_cost", "cost of handling a unit shipped to a customer", "money per unit", default=0.0),
        _money("inbound_cost", "cost of receiving a unit", "money per unit", default=0.0),
        _days("review_period", "days from one review to the next", ge=1, default=1),
        _days("review_offset", "period of the first review; less than `review_period`", ge=0, default=0),
        _string(
            "allocation",
            "how scarce stock is shared among the nodes supplied",
            default="proportional",
            allowed=("proportional", "priority"),
        ),
    ),
    key=("node_id",),
)

LANES = Table(
    "lanes",
    "Supply of one node by another, and transshipment of what a node has too much of. Lanes of supply form no cycle; a "
    "lane of transshipment may lead anywhere, also back to where the goods came from.",
    (
        _string("from_node", "node that ships"),
        _string("to_node", "node that receives"),
        _days("lead_time", "mean lead time", ge=1, hint=_LEAD_HINT),
        _float(
            "lead_time_sd",
            "standard deviation of the lead time; 0: always `lead_time`, else gamma, rounded to days, at least 1",
            "days",
            ge=0,
            le=LONGEST,
            default=0.0,
        ),
        _money("cost_per_unit", "transfer cost by unit", "money per unit", default=0.0),
        _money("cost_per_kg", "transfer cost by weight", "money per kg", default=0.0),
        _float("carbon_kg_per_kg", "emission", "kg CO2e per kg shipped", ge=0, default=0.0),
        _float(
            "share",
            "weight of this lane in what `to_node` asks for, over its inbound lanes of supply",
            ge=0,
            default=1.0,
        ),
        _string(
            "use",
            "`supply`: `to_node` orders from `from_node`; `transshipment`: it gets what `from_node` has too much of, "
            "or can spare when it is about to run out. Empty: `supply`, but on a cycle of lanes only for those that "
            "lead down (from a dc to an fc, from there to a same_day node)",
            nullable=True,
            allowed=USES,
        ),
    ),
    key=("from_node", "to_node"),
    references=(
        Reference(("from_node",), "nodes", ("node_id",)),
        Reference(("to_node",), "nodes", ("node_id",)),
    ),
    optional=True,
)

REGIONS = Table(
    "regions",
    "Where customers are.",
    (
        _string("region_id", "the region"),
        _LATITUDE,
        _LONGITUDE,
        _float(
            "population",
            "inhabitants: by these demand is split where there is no table `shares`",
            "persons",
            ge=0,
            le=1e11,
            default=0.0,
        ),
        _string("region_group", "group of regions, for service floors", default="all"),
        _COUNTRY,
    ),
    key=("region_id",),
    without="the regions that `transit` or `shares` name, else one region `everywhere`",
)

SPEEDS = Table(
    "speeds",
    "Promises made to customers. Fast to slow is the order of (`promise_days`, `deliver_by_hour`).",
    (
        _string("speed_id", "the speed"),
        _days("promise_days", "days from the day of the order to the day of delivery", ge=0),
        _float("deliver_by_hour", "hour of that day by which the parcel is there", "hours", gt=0, le=24),
        _float("cost_factor", "multiplies the outbound cost of `transit`", gt=0, default=1.0),
    ),
    key=("speed_id",),
    without="one promise, `standard` or the only one that `shares` and `cutoffs` name, which every connection keeps",
)

TRANSIT = Table(
    "transit",
    "Shipping from a node to a region. A pair without a row is not connected.",
    (
        _string("node_id", "node that ships"),
        _string("region_id", "region of the customer"),
        _float("hours", "hours from departure to delivery", "hours", ge=0, le=24 * LONGEST),
        _int("zone", "distance zone, for reports", ge=1, default=1),
        _money("cost_per_unit", "outbound cost by unit", "money per unit"),
        _money("cost_per_kg", "outbound cost by weight", "money per kg", default=0.0),
        _float("carbon_kg_per_unit", "emission", "kg CO2e per unit", ge=0, default=0.0),
    ),
    key=("node_id", "region_id"),
    references=(_NODE, _REGION),
    without="a region with the id of a node is served by that node, any other by every node that supplies no other; "
    "at once, at no cost",
)

CUTOFFS = Table(
    "cutoffs",
    "Speeds a node offers. A pair without a row is not offered. A node reaches a region in time for a "
    "speed and a wave that ends at hour e if departure + hours <= 24 x promise_days + deliver_by_hour, "
    "where departure = cutoff_hour if e <= cutoff_hour, else cutoff_hour + 24.",
    (
        _string("node_id", "the node"),
        _string("speed_id", "the speed"),
        _float("cutoff_hour", "orders up to this hour leave the same day at this hour", "hours", gt=0, le=24),
    ),
    key=("node_id", "speed_id"),
    references=(_NODE, _SPEED),
    without="nodes that ship to customers offer every speed, with orders until midnight",
)

OFFERS = Table(
    "offers",
    "What a vendor offers to deliver to a node. An offer names its vendor; what holds for whole orders of a vendor is "
    "in `vendors`, prices by quantity are in `price_breaks`.",
    (
        _string("item_id", "the item"),
        _string("vendor_id", "the vendor"),
        _string("vendor_name", "what people call the vendor; the first that is given counts", default=""),
        _string("node_id", "node that receives"),
        _money("unit_cost", "purchase cost", "money per unit"),
        _money("freight_cost", "inbound freight", "money per unit", default=0.0),
        _float("lead_time_mean", "mean lead time", "days", ge=1, le=LONGEST, hint=_LEAD_HINT),
        _float("lead_time_sd", "standard deviation of the lead time", "days", ge=0, le=LONGEST, default=0.0),
        _string(
            "lead_time_law",
            "distribution of the lead time; `empirical` draws from `lead_times`",
            default="fixed",
            allowed=("fixed", "gamma", "empirical"),
        ),
        _int(
            "pack_size",
            "orders are multiples of this; a part of 1, such as 0.5, is read as 1: orders are whole units",
            "units",
            ge=1,
            default=1,
            fraction="of one",
            hint="write whole units; a part of a unit must go into 1 without rest, such as 0.5 or 0.25",
        ),
        _int("min_order", "least order, if any; rounded up to whole units", "units", ge=0, default=0, fraction="up"),
        _money(
            "order_cost",
            "fixed cost of an order line: of every order of the item, however many units it has",
            "money per order line",
            default=0.0,
        ),
        _float("share", "weight of this offer among those of the item at the node", ge=0, default=1.0),
        _days(
            "frozen_periods",
            "first days in which nothing new is ordered through this offer; empty: `frozen_periods` of instance.yaml",
            ge=0,
            nullable=True,
        ),
    ),
    key=("item_id", "vendor_id", "node_id"),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

PRICE_BREAKS = Table(
    "price_breaks",
    "Prices by quantity: an order line of at least so many units costs this price for all of its units, in place of "
    "`unit_cost` of the offer. The larger the quantity, the lower the price.",
    (
        _string("item_id", "the item"),
        _string("vendor_id", "the vendor"),
        _string("node_id", "node that receives; empty: every node to which the vendor offers the item", nullable=True),
        _int("from_units", "least units of the order line", "units", ge=1),
        _money("unit_cost", "purchase cost of each of its units", "money per unit"),
    ),
    key=("item_id", "vendor_id", "node_id", "from_units"),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

VENDORS = Table(
    "vendors",
    "What holds for whole orders of a vendor: all that a node orders from it on a day. A vendor without a row takes "
    "any order, and an order costs nothing beside its lines. A row that names a node counts in place of one without.",
    (
        _string("vendor_id", "the vendor"),
        _string("node_id", "node that receives; empty: every node", nullable=True),
        _money("order_cost", "fixed cost of an order, however many lines it has", "money per order", default=0.0),
        _money("min_order_value", "least value of an order, at purchase cost", "money", default=0.0),
        _float("min_order_volume", "least volume of an order", "m3", ge=0, default=0.0),
        _float("min_order_weight", "least weight of an order", "kg", ge=0, default=0.0),
        _float("truck_volume", "volume that a truck or container takes", "m3", gt=0, nullable=True),
        _float("truck_weight", "weight that a truck or container takes", "kg", gt=0, nullable=True),
        _money("truck_cost", "cost of each truck or container of an order", "money per truck", default=0.0),
        _float(
            "truck_fill",
            "least part of the last truck of an order that is filled: 0 for any, 1 for full trucks only",
            ge=0,
            le=1,
            default=0.0,
        ),
    ),
    key=("vendor_id", "node_id"),
    references=(_NODE,),
    optional=True,
)

LEAD_TIMES = Table(
    "lead_times",
    "Lead times observed of a vendor; needed for offers of law `empirical`. Rows may repeat.",
    (
        _string("vendor_id", "the vendor"),
        _days("days", "lead time", ge=1, hint=_LEAD_HINT),
        _float("weight", "weight of this lead time among those of the vendor", gt=0, default=1.0),
    ),
    optional=True,
)

SHARES = Table(
    "shares",
    "How demand of an item is split over regions, speeds and waves. The shares of a profile sum to 1.",
    (
        _string("profile", "name of the split; `items.profile` refers to it"),
        _string("region_id", "the region"),
        _string("speed_id", "the speed asked for"),
        _int("wave", "number of the wave, from 0 (`wave_ends` in instance.yaml)", ge=0),
        _float("share", "share of the demand of the item", ge=0, le=1),
    ),
    key=("profile", "region_id", "speed_id", "wave"),
    references=(_REGION, _SPEED),
    without="one split for all items, `all`: by the population of the regions (evenly where none is given), at the "
    "slowest speed, by the hours of the waves",
)

RESOURCES = Table(
    "resources",
    "Capacity that items share. `storage`: average end-of-day stock over the bucket. `inbound`, "
    "`outbound`, `lane`, `vendor`: flow per day, averaged over the bucket. `spend`: money ordered in the "
    "bucket. `service` (fill rate): least share of the demand in its scope that is delivered as promised; with a "
    "`node_group`, from stock of these nodes. `in_stock`: least share of the pairs of item and node in its scope, over "
    "the days of the bucket, that have a unit in stock at the end of the day. A pair counts if the node may order the "
    "item and somebody supplies it, until the day from which on nothing is bought of the item.",
    (
        _string("resource_id", "the resource; its rows differ in bucket and capacity only"),
        _string("kind", "what is limited", allowed=RESOURCE_KINDS),
        _string(
            "node_id",
            "node (storage, inbound, outbound: needed; lane: the node that ships; spend: optional)",
            nullable=True,
        ),
        _string("to_node", "node that receives (lane: needed)", nullable=True),
        _string("vendor_id", "vendor (vendor: needed; spend: optional)", nullable=True),
        _string("storage_class", "storage class (storage: optional; empty: all)", nullable=True),
        _string("item_class", "class of items (service, in_stock: optional; empty: all)", nullable=True),
        _string("node_group", "group of nodes (in_stock, service: optional; empty: all)", nullable=True),
        _string("region_group", "region group (service: optional; empty: all)", nullable=True),
        _string("speed_id", "speed (service: optional; empty: all)", nullable=True),
        _int("bucket", "number of the bucket, from 0; empty: every bucket", ge=0, nullable=True),
        _string(
            "measure",
            "what is counted (storage: units, m3 or pallets; inbound, outbound, lane, vendor: units, m3, kg, pallets, "
            "hours or order lines; spend: money or empty; service, in_stock: units or empty)",
            nullable=True,
            allowed=MEASURES,
        ),
        _float(
            "capacity",
            "most that may be used, in `measure`; service and in_stock: the least share, from 0 to 1",
            "",
            ge=0,
            le=1e15,
        ),
        _float(
            "held_in",
            "share of the scenarios in which the capacity of a bucket is to be kept, above 0.5 and below 1 (not of "
            "service, in_stock); empty: it is kept on average over the scenarios",
            "",
            ge=0,
            le=1,
            nullable=True,
        ),
    ),
    key=("resource_id", "bucket"),
    references=(_NODE, Reference(("to_node",), "nodes", ("node_id",)), _SPEED),
    optional=True,
)

ON_HAND = Table(
    "on_hand",
    "Stock at the start of period 0. A pair without a row holds none.",
    (
        _string("item_id", "the item"),
        _string("node_id", "the node"),
        _float("units", "stock", "units", ge=0, hint=_BACKLOG_HINT),
    ),
    key=("item_id", "node_id"),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

ON_ORDER = Table(
    "on_order",
    "Orders and transfers under way at the start of period 0. Rows may repeat.",
    (
        _string("item_id", "the item"),
        _string("node_id", "node that receives"),
        _int(
            "period_due",
            "period at whose start it arrives; an overdue order (less than 0) is taken to arrive in period 0",
            "period",
            ge=-LONGEST,
            le=LONGEST,
            or_date="due_date",
        ),
        _float("units", "units under way", "units", ge=0),
    ),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

ASSORTMENT = Table(
    "assortment",
    "Where items may be kept, and how much there must or may be. A pair without a row may be kept where storage class "
    "and supply allow, without bounds. Days are days of the mean demand that the node serves or passes on, in the "
    "bucket.",
    (
        _string("item_id", "the item"),
        _string("node_id", "the node"),
        _bool(
            "stocked", "whether the node may order the item; if not, what lies there is sold or moved on", default=True
        ),
        _float(
            "min_units",
            "least stock (display stock, legal minimum): orders leave so much on average when the next ones arrive",
            "units",
            ge=0,
            default=0.0,
        ),
        _float(
            "min_days", "the same in days of demand; the larger of both counts", "days", ge=0, le=LONGEST, default=0.0
        ),
        _float(
            "max_units",
            "most stock: no order raises stock on hand and on order above it; counts before the least stock, packs and "
            "least orders; empty: no bound",
            "units",
            ge=0,
            nullable=True,
        ),
        _float(
            "max_days",
            "the same in days of demand; the smaller of both counts",
            "days",
            ge=0,
            le=LONGEST,
            nullable=True,
        ),
    ),
    key=("item_id", "node_id"),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

BACKLOG = Table(
    "backlog",
    "Units owed to customers at the start: demand of earlier days that waits. It is served before the demand of period "
    "0, costs `backorder_cost` until then, and counts against the position of the node that it asks first. Only for "
    "items whose unmet demand waits (`unmet` backorder). Rows may repeat.",
    (
        _string("item_id", "the item"),
        _string("region_id", "where the customers are; empty: split as `shares` splits demand", nullable=True),
        _string("speed_id", "the speed that they asked for; empty: split as `shares` splits demand", nullable=True),
        _float("units", "units owed", "units", ge=0),
    ),
    references=(_ITEM, _REGION, _SPEED),
    optional=True,
    item_column="item_id",
)

OVERRIDE_KINDS = ("order", "stock", "exclude")

OVERRIDES = Table(
    "overrides",
    "Decisions of planners that the plan keeps to, each with its cost in `plan/overrides`. `order`: on that day the "
    "node orders exactly so many units from the vendor (or asks the node above for them), whatever its level and its "
    "reviews say; 0 is no order. `stock`: least and most stock of the item at the node, in place of those of "
    "`assortment`. `exclude`: the node orders none of the item; with a vendor or `from_node`, none from there. A row "
    "no longer applies after its day `expires`. Rows that have expired, and orders of days before the start or after "
    "the horizon, are told and not applied.",
    (
        _string("override_id", "name of the decision, for messages and results"),
        _string("kind", "what is decided", allowed=OVERRIDE_KINDS),
        _string("item_id", "the item"),
        _string("node_id", "node that orders and keeps it"),
        _string("vendor_id", "vendor (order: this or `from_node` is needed; exclude: optional)", nullable=True),
        _string("from_node", "node that ships (order, exclude)", nullable=True),
        _int("units", "units of the order, in packs of the offer (order: needed)", "units", ge=0, nullable=True),
        _int(
            "period",
            "period of the order, from 0 (order: needed); under evening orders -1 is the evening before period 0",
            "period",
            ge=-LONGEST,
            le=LONGEST,
            nullable=True,
            or_date="order_date",
        ),
        _float("min_units", "least stock, as in `assortment` (stock)", "units", ge=0, nullable=True),
        _float("min_days", "the same in days of demand", "days", ge=0, le=LONGEST, nullable=True),
        _float("max_units", "most stock, as in `assortment` (stock)", "units", ge=0, nullable=True),
        _float("max_days", "the same in days of demand", "days", ge=0, le=LONGEST, nullable=True),
        _date("expires", "last day on which the row applies; empty: it does not expire", nullable=True),
        _string("reason", "why, for the report", default=""),
    ),
    key=("override_id",),
    references=(_ITEM, _NODE, Reference(("from_node",), "nodes", ("node_id",))),
    optional=True,
    item_column="item_id",
)

PLANNED_ORDERS = Table(
    "planned_orders",
    "Orders that an earlier run planned: its table `plan/planned_days` (where `output.daily_orders` asks for it) or "
    "`plan/planned_orders`, as it is. Those of frozen periods (`frozen_periods` in instance.yaml or offers) are placed "
    "as they were planned, to the nearest whole pack, unless a row of `overrides` says otherwise; those of other "
    "periods are not looked at. Rows of one day are added up.",
    (
        _string("item_id", "the item"),
        _string("vendor_id", "the vendor"),
        _string("node_id", "node that receives"),
        _float("units", "units that were planned", "units", ge=0),
        _int(
            "period",
            "period of the order, from 0; under evening orders -1 is the evening before period 0",
            "period",
            ge=-LONGEST,
            le=LONGEST,
            or_date="order_date",
        ),
    ),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
    unread=(
        *("bucket", "units_p10", "units_p90", "unit_cost", "cost", "freight", "due_date"),
        *("item_name", "vendor_name", "node_name"),
    ),
)

EXPIRIES = Table(
    "expiries",
    "How long the stock at the start can be sold, for items with a `shelf_life`: of what `on_hand` says, so many units "
    "until that day. What is on hand beyond these rows counts as received on the first day.",
    (
        _string("item_id", "the item"),
        _string("node_id", "the node"),
        _int(
            "last_period",
            "last period in which they can be sold, from 0",
            "period",
            ge=-LONGEST,
            le=LONGEST,
            or_date="last_date",
        ),
        _float("units", "units on hand that can be sold until then", "units", ge=0),
    ),
    key=("item_id", "node_id", "last_period"),
    references=(_ITEM, _NODE),
    optional=True,
    item_column="item_id",
)

ACTIVITIES = ("all", "receipts", "orders", "shipments")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CALENDAR = Table(
    "calendar",
    "Days on which nodes and vendors do not work. What is due at a node on a day without receipts arrives on its next "
    "day with receipts; an order or a transfer that falls due on a day on which the node does not order, the vendor "
    "takes no orders or the node above ships nothing is decided on the next day on which it can be. Customers are "
    "served every day: demand of a day on which a shop is closed is what the forecast says. A row that names neither "
    "node nor vendor holds for all of them. Where rows contradict each other the one with dates counts, then the one "
    "that names more, then the one with the shorter time, then `open`. Where periods are weeks or months, one is "
    "closed if all its days are. Rows may repeat.",
    (
        _string("node_id", "the node; with a vendor: the orders that the vendor takes from this node", nullable=True),
        _string("vendor_id", "the vendor that takes the orders", nullable=True),
        _string(
            "activity",
            "what is not done: receipts (the dock), orders, shipments (transfers to other nodes), or all three; of a "
            "vendor only orders",
            default="all",
            allowed=ACTIVITIES,
        ),
        _string(
            "status",
            "`closed`, `open` in spite of other rows, or `only`: open on the days of such rows and on no others",
            default="closed",
            allowed=("closed", "open", "only"),
        ),
        _string(
            "weekdays",
            "days of the week, parted by `;`: mon, tue, wed, thu, fri, sat, sun; empty: every day",
            default="",
        ),
        _date("date", "the day, or the first of several; empty: always", nullable=True),
        _date("last_date", "the last of several days; empty: `date` alone", nullable=True),
    ),
    references=(_NODE,),
    optional=True,
)

_PERIOD = _int("period", "period of the horizon, from 0", "period", ge=0, le=LONGEST, or_date="ds")

FORECASTS: dict[str, Table] = {
    "paths": Table(
        "forecast",
        "Form `paths`: sample paths of demand. Every path of an item covers every period. With 4 to 63 paths levels "
        "are searched on scenarios of a law that is fitted to every other path, and judged on the paths between; with "
        "more, on the paths themselves.",
        (
            _string("item_id", "the item"),
            _int("path", "number of the path, from 0", ge=0, le=99_999),
            _PERIOD,
            _float("units", "demand", "units per day", ge=0),
        ),
        key=("item_id", "path", "period"),
        references=(_ITEM,),
        item_column="item_id",
    ),
    "quantiles": Table(
        "forecast",
        "Form `quantiles`: quantiles of the demand of a day, one column per level, as forecasting "
        "libraries write them: `q` and the level (`q0.05` ... `q0.95`), or `MODEL-lo-90`, `MODEL-hi-90` "
        "and `MODEL-median` of one model (a column `MODEL` with its point forecast is ignored). At least "
        "two levels, in any order; values do not fall from one level to the next. Every item covers every "
        "day of the horizon.",
        (_string("unique_id", "the item"), _date("ds", "day of the horizon")),
        key=("unique_id", "ds"),
        references=(Reference(("unique_id",), "items", ("item_id",)),),
        item_column="unique_id",
    ),
    "mean": Table(
        "forecast",
        "Form `mean`: mean and dispersion of the demand of a day. Every item covers every period.",
        (
            _string("item_id", "the item"),
            _PERIOD,
            _float("mean", "mean demand", "units per day", ge=0),
            _float(
                "dispersion",
                "dispersion d. negative_binomial: variance = mean + d mean^2 (0: Poisson); normal, gamma: "
                "variance = d mean^2",
                ge=0,
                le=1e6,
                default=0.0,
            ),
            _string(
                "law",
                "distribution of the demand; normal is clipped at 0, fixed is the mean itself",
                default="negative_binomial",
                allowed=("negative_binomial", "normal", "gamma", "fixed"),
            ),
        ),
        key=("item_id", "period"),
        references=(_ITEM,),
        item_column="item_id",
    ),
    "history": Table(
        "forecast",
        "Form `history`: past sales, drawn from in blocks of `history_block` periods. The history of an item "
        "runs from its first row to the day before `start_date`; a period without a row is one without "
        "sales.",
        (
            _string("item_id", "the item"),
            _date("ds", "day before `start_date`; where `period` is not a day, any day of the period"),
            _float(
                "units",
                "sales; a return (below 0) is taken off the sales before it",
                "units per period",
                ge=-MOST,
            ),
            _bool(
                "available",
                "whether the item was in stock all period; if not, its sales are the least that demand can have been",
                default=True,
            ),
        ),
        key=("item_id", "ds"),
        references=(_ITEM,),
        item_column="item_id",
    ),
}
"""The table `forecast` in each of its forms."""

_FIXED = (
    ITEMS,
    NODES,
    LANES,
    REGIONS,
    SPEEDS,
    TRANSIT,
    CUTOFFS,
    OFFERS,
    SHARES,
    RESOURCES,
    ON_HAND,
    ON_ORDER,
)
_REST = (LEAD_TIMES, ASSORTMENT, CALENDAR, BACKLOG, OVERRIDES, PLANNED_ORDERS, EXPIRIES, PRICE_BREAKS, VENDORS)
_BY_NAME = {table.name: table for table in (*_FIXED, *_REST)}

TABLE_NAMES = (
    *("items", "nodes", "lanes", "regions", "speeds", "transit", "cutoffs", "offers", "forecast", "shares"),
    *("resources", "on_hand", "on_order", "lead_times", "assortment", "calendar", "backlog"),
    *("overrides", "planned_orders", "expiries", "price_breaks", "vendors"),
)
"""Names of all tables, in the order in which they are read and shown."""


def table_schema(name: str, form: str) -> Table:
    """The declaration of table `name`, given the form of the forecast. KeyError where there is none."""
    return FORECASTS[form] if name == "forecast" else _BY_NAME[name]


def table_columns(name: str) -> set[str]:
    """Names of the columns of table `name`, over all forms of the forecast; none of a table that is no part."""
    if name not in TABLE_NAMES:
        return set()
    columns = [column for form in FORECASTS for column in table_schema(name, form).columns]
    return {column.name for column in columns} | {column.or_date for column in columns if column.or_date}
