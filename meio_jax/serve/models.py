"""What requests and answers hold, as OpenAPI tells it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meio_jax.errors import InputError, Problem
from meio_jax.tables import ITEM_TABLES

Cell = str | int | float | bool | None
MOST_STEPS = 1000


class ReplanRequest(BaseModel):
    """Items to plan again: those that the tables name, and further ones by id."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tables: dict[str, list[dict[str, Cell]]] = Field(
        default_factory=dict,
        description="changed tables by name (items, offers, forecast, on_hand, on_order, expiries, assortment, "
        "backlog), each a list of rows with all rows of the items that it names; columns of items and offers may be "
        "left out",
    )
    items: list[str] = Field(default_factory=list, description="ids of items that are planned again as they are")
    steps: int = Field(default=20, ge=1, le=MOST_STEPS, description="gradient steps of the search")

    @model_validator(mode="after")
    def _known_tables(self) -> ReplanRequest:
        for name in self.tables:
            if name not in ITEM_TABLES:
                raise ValueError(f"unknown table {name!r}; choose among {', '.join(ITEM_TABLES)}")
        return self


class ReplanAnswer(BaseModel):
    """The new plan of the items; tables as in the folder of a run, rows as mappings."""

    orders: list[dict[str, Cell]] = Field(description="purchase orders of today")
    transfers: list[dict[str, Cell]] = Field(description="transfers of today")
    targets: list[dict[str, Cell]] = Field(description="levels by item, node and bucket")
    items: list[dict[str, Cell]] = Field(description="expected cost of every item before and after")
    usage: list[dict[str, Cell]] = Field(description="change in the use of every capacity")
    warnings: list[str] = Field(description="prices that the change would move")
    notes: list[str] = Field(description="what has changed since the server was started")
    seconds: float = Field(description="time of the search")


class PricesAnswer(BaseModel):
    """Prices of capacities."""

    prices: list[dict[str, Cell]] = Field(description="rows of the table `prices`")
    notes: list[str]


class HealthAnswer(BaseModel):
    """How the server is."""

    status: str = Field(description="starting, ok, changed (the run folder is another) or ending")
    run: str
    instance_changed: bool
    waiting: int = Field(description="requests that wait, the running one included")
    version: str


class ErrorAnswer(BaseModel):
    """What is wrong with a request: `problems` as `meio` tells them, with file, place, value, what was expected, and
    how to mend it."""

    error: dict[str, Any]


def error_body(status: int, error: InputError | Problem | str) -> dict[str, Any]:
    """The JSON of an error.

    Args:
        status: HTTP status.
        error: Problems, one problem, or a sentence.
    """
    problems = error.problems if isinstance(error, InputError) else [error] if isinstance(error, Problem) else []
    told = [
        {
            "file": one.file,
            "where": one.where,
            "column": one.column,
            "value": one.value if isinstance(one.value, str | int | float | bool | None) else str(one.value),
            "expected": one.expected,
            "remedy": one.remedy,
        }
        for one in problems[:MOST_TOLD]
    ]
    omitted = error.count - len(told) if isinstance(error, InputError) else 0
    return {"error": {"status": status, "message": str(error), "problems": told, "omitted": omitted}}


MOST_TOLD = 100
"""Problems of an answer; further ones are counted."""
