"""Names of items, nodes and vendors stand beside their ids in the tables of a plan."""

from __future__ import annotations

import numpy as np
import polars as pl
from lived import DAYS, LANES, policy_of
from one_node import demand, instance, item, offer

from meio_jax.instance import build_instance
from meio_jax.plans.tables import decision_frames

NODES = [
    {"node_id": "site", "kind": "fc", "name": "North depot"},
    {"node_id": "week", "kind": "fc", "name": ""},
]


def frames(*, name: str = "", vendor: str = "", nodes: list[dict] | None = None) -> dict[str, pl.DataFrame]:
    """Today's tables of item A, sold at `week` and bought at `site`, where 30 lie."""
    made = instance(
        [item("A", node="week") | {"name": name}],
        [offer("A", 2, vendor_name=vendor)],
        demand("A", 10.0, days=DAYS),
        days=DAYS,
        settings={"terminal": "liquidate"},
        lanes=LANES,
        on_hand=[{"item_id": "A", "node_id": "site", "units": 30.0}],
        **({"nodes": nodes} if nodes else {}),
    )
    built = build_instance(made, block_items=1, dtype=np.float32)
    return dict(decision_frames(built, policy_of(built, 100.0)))


def test_names_are_carried_through() -> None:
    found = frames(name="Kettle", vendor="Acme Ltd", nodes=NODES)
    order = found["plan/orders"].row(0, named=True)
    assert {key: order[key] for key in ("item_name", "node_name", "vendor_name")} == {
        "item_name": "Kettle",
        "node_name": "North depot",
        "vendor_name": "Acme Ltd",
    }
    move = found["plan/transfers"].row(0, named=True)
    assert (move["item_name"], move["from_name"], move["to_name"]) == ("Kettle", "North depot", "")


def test_without_names_tables_are_as_they_were() -> None:
    found = frames()
    assert not [name for frame in found.values() for name in frame.columns if name.endswith("_name")]
    assert found["plan/orders"].height == found["plan/transfers"].height == 1
