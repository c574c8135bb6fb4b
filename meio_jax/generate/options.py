"""Options of the synthetic instance generator."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Shape = Literal["local", "national", "global"]
ForecastForm = Literal["paths", "quantiles", "mean", "history"]
ResourceKind = Literal["storage", "inbound", "outbound", "lane", "vendor", "spend", "service"]
RESOURCE_KINDS: tuple[ResourceKind, ...] = (
    "storage", "inbound", "outbound", "lane", "vendor", "spend", "service",
)  # fmt: skip
MAX_ITEMS = 10**9
_Nodes = Annotated[int, Field(ge=0, le=10_000)]


class GenerateOptions(BaseModel):
    """What to generate. Equal options give equal tables, byte for byte in value.

    Attributes:
        shape: `local` one metropolitan area and its neighbourhoods; `national` the United States; `global`
            several countries with cross-border lanes.
        items: number of items. Item k is the same whatever this number is, but capacities follow the total,
            and so does the vendor that an item has when the number of vendors changes.
        nodes_per_tier: numbers of (dc, fc, same_day) nodes; a zero leaves the tier out.
        regions: number of customer regions.
        speeds: number of delivery promises, 1 to 5.
        waves: order waves per day, 1 to 24.
        periods: horizon, days.
        bucket_periods: days per bucket.
        seed: master seed.
        forecast: form of the forecast table.
        tightness: capacity as a share of the estimated need; 1 leaves some resources binding.
        resources: kinds of resource to write.
        vendors: number of vendors; None picks one per 40 items, between 4 and 400.
        profiles: number of taste profiles (regional shares); the last sixth of them is for chilled items.
        paths: number of sample paths (forecast form `paths`).
        history_days: length of past sales (forecast form `history`), days.
        start_date: first day of the horizon.
        partition_items: items per part file; more items than this makes the item tables folders of parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: Shape = "national"
    items: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 500
    nodes_per_tier: tuple[_Nodes, _Nodes, _Nodes] = (2, 5, 3)
    regions: Annotated[int, Field(ge=1, le=10_000)] = 8
    speeds: Annotated[int, Field(ge=1, le=5)] = 3
    waves: Annotated[int, Field(ge=1, le=24)] = 2
    periods: Annotated[int, Field(ge=1, le=3660)] = 42
    bucket_periods: Annotated[int, Field(ge=1, le=3660)] = 7
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    forecast: ForecastForm = "mean"
    tightness: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    resources: tuple[ResourceKind, ...] = RESOURCE_KINDS
    vendors: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    profiles: Annotated[int, Field(ge=2, le=100_000)] = 12
    paths: Annotated[int, Field(ge=1, le=100_000)] = 16
    history_days: Annotated[int, Field(ge=14, le=7305)] = 182
    start_date: Annotated[date, Field(ge=date(1980, 1, 1), le=date(2200, 12, 31))] = date(2025, 6, 2)
    partition_items: Annotated[int, Field(ge=1)] = 50_000

    @model_validator(mode="after")
    def _some_node(self) -> GenerateOptions:
        if sum(self.nodes_per_tier) == 0:
            raise ValueError("nodes_per_tier: at least one node is needed")
        return self

    @property
    def vendor_count(self) -> int:
        """Number of vendors, resolved."""
        return self.vendors if self.vendors is not None else max(4, min(400, self.items // 40))

    @property
    def buckets(self) -> int:
        """Number of buckets; the last may be short."""
        return -(-self.periods // self.bucket_periods)
