"""What fixed orders take of a capacity that no plan meets, by hand, and the message that names them."""

from __future__ import annotations

from typing import Any

import pytest
from one_node import demand, instance, item, offer

from meio_jax.cli.summary import unreachable
from meio_jax.planner.fixed_orders import fixed_use, with_fixed_orders
from meio_jax.tables import Tables

SITE = {"node_id": "site"}


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Orders of 480 and 40 on day 5 and of 30 on day 8, due two days later; 60 are asked of `site` on day 3."""
    orders: list[dict[str, Any]] = [
        {"override_id": "big", "item_id": "A", "vendor_id": "v", "period": 5, "units": 480, **SITE},
        {"override_id": "small", "item_id": "B", "vendor_id": "v", "period": 5, "units": 40, **SITE},
        {"override_id": "next", "item_id": "A", "vendor_id": "v", "period": 8, "units": 30, **SITE},
        {"override_id": "none", "item_id": "B", "vendor_id": "v", "period": 1, "units": 0, **SITE},
        {"override_id": "move", "item_id": "B", "from_node": "site", "node_id": "week", "period": 3, "units": 60},
    ]
    kinds: dict[str, dict[str, Any]] = {
        "desk": {"kind": "vendor", "vendor_id": "v", "measure": "units"},
        "lines": {"kind": "vendor", "vendor_id": "v", "measure": "lines"},
        "dock": {"kind": "inbound", "measure": "pallets", **SITE},
        "week": {"kind": "inbound", "node_id": "week", "measure": "units"},
        "money": {"kind": "spend", "measure": "money"},
        "road": {"kind": "lane", "to_node": "week", "measure": "kg", **SITE},
        "hall": {"kind": "storage", "measure": "m3", **SITE},
        "out": {"kind": "outbound", "measure": "units", **SITE},
    }
    return instance(
        [item("A", units_per_pallet=10.0), item("B", units_per_pallet=20.0, weight_kg=2.0)],
        [offer("A", 2, unit_cost=3.0), offer("B", 2, unit_cost=5.0)],
        [row for name in "AB" for row in demand(name, 10.0, days=21)],
        days=21,
        lanes=[{"from_node": "site", "to_node": "week", "lead_time": 1}],
        overrides=[{"kind": "order", "reason": "agreed", **row} for row in orders],
        resources=[{"resource_id": name, "capacity": 10.0, **row} for name, row in kinds.items()],
    )


@pytest.mark.parametrize(
    ("resource", "bucket", "expected"),
    [
        ("desk", 0, {"big": 480, "small": 40}),
        ("desk", 1, {"next": 30}),
        ("lines", 0, {"big": 1, "small": 1}),
        # Due on days 7 and 10.
        ("dock", 0, {}),
        ("dock", 1, {"big": 480 / 10, "small": 40 / 20, "next": 30 / 10}),
        ("week", 0, {"move": 60}),
        ("money", 0, {"big": 3 * 480, "small": 5 * 40}),
        ("road", 0, {"move": 60 * 2}),
        # Unit-days until the end of the bucket, days 7 to 13 and 10 to 13.
        ("hall", 1, {"big": 480 * 7, "small": 40 * 7, "next": 30 * 4}),
        ("out", 0, {}),
    ],
)
def test_what_fixed_orders_take(tables: Tables, resource: str, bucket: int, expected: dict[str, float]) -> None:
    found = fixed_use(tables, resource, bucket)
    assert dict(found.select("override_id", "used").iter_rows()) == pytest.approx(expected)


def test_the_message_names_those_that_break_the_capacity_alone(tables: Tables) -> None:
    row = {"resource": "desk", "bucket": 0, "least_usage": 520.0, "capacity": 70.0, "relative": 6.4}
    (found,) = with_fixed_orders([tables], [row])
    assert [one["override_id"] for one in found["fixed_orders"]] == ["big", "small"]
    (line,) = unreachable({"infeasible": [found]})
    assert line.endswith("Fixed by overrides, and more than the capacity by itself: big (480 of A).")
    (wide,) = with_fixed_orders([tables], [{**row, "capacity": 500.0}])
    (line,) = unreachable({"infeasible": [wide]})
    assert line.endswith("Fixed by overrides, and counted in it: big (480 of A), small (40 of B).")
    (free,) = with_fixed_orders([tables], [{**row, "resource": "out"}])
    assert "Fixed" not in unreachable({"infeasible": [free]})[0]
    assert with_fixed_orders([tables], []) == []
