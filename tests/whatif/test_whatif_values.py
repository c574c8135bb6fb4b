"""Signs, units and limits of first-order values, and the words for them."""

import datetime
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from meio_jax.cli.whatif_text import headline, whatif_text
from meio_jax.errors import InputError
from meio_jax.runs.data import RunData
from meio_jax.tables import InstanceSettings, Tables
from meio_jax.whatif import CapacityChange, Check, WhatIf, changed_resources, what_if

SCOPE = ("node_id", "to_node", "vendor_id", "storage_class", "region_group", "speed_id", "measure")
# resource, kind, bucket, price, usage, capacity
PRICES = [
    ("shelf", "storage", 0, 2.0, 9.9, 10.0),
    ("shelf", "storage", 1, 0.0, 6.0, 10.0),
    ("budget", "spend", 0, 0.5, 100.0, 100.0),
    ("promise", "service", 0, 3.0, 0.91, 0.9),
    ("[red]", "outbound", 1, 1.0, 5.0, 5.0),
]
DEMAND = 200.0


def made_run() -> RunData:
    """Ten days in buckets of seven, two of them warm-up; no files."""
    rows = [
        dict(zip(("resource_id", "kind", "bucket", "price", "usage", "capacity"), row, strict=True)) for row in PRICES
    ]
    scope = dict.fromkeys(SCOPE, None) | {"measure": "m3"}
    prices = pl.DataFrame([{**row, **scope} for row in rows], schema_overrides=dict.fromkeys(SCOPE, pl.String))
    service = pl.DataFrame(
        {"region_group": ["a", "b"], "speed_id": ["x", "x"], "bucket": [0, 0], "wanted": [DEMAND / 2] * 2}
    )
    start = datetime.date(2025, 3, 3)
    settings = InstanceSettings(
        name="made", start_date=start, periods=10, bucket_periods=7, warmup_periods=2, wave_ends=[24.0], forecast="mean"
    )
    empty = {
        name: pl.DataFrame()
        for name in Tables.__dataclass_fields__
        if name not in ("settings", "warnings", "digests", "read_from", "assumed")
    }
    return RunData(
        folder=Path("run"),
        instance=Path("instance"),
        certificate={"holdout_objective": 1000.0},
        identity={},
        config="",
        tables={"prices": prices.lazy(), "plan/service": service.lazy()},
        network=Tables(settings=settings, **empty),
        notes=(),
    )


@pytest.mark.parametrize(
    ("text", "now", "then"),
    [
        ("+10%", 50.0, 55.0),
        ("-10%", 50.0, 45.0),
        ("-100%", 50.0, 0.0),
        (" + 2.5 % ", 40.0, 41.0),
        ("+5", 50.0, 55.0),
        ("-5", 50.0, 45.0),
        ("5", 50.0, 5.0),
        ("1e3", 2.0, 1000.0),
    ],
)
def test_changes_are_read(text: str, now: float, then: float) -> None:
    assert CapacityChange.parse(text)(now) == pytest.approx(then)


@pytest.mark.parametrize("text", ["", "10%", "ten", "+ten%", "nan", "inf", "+inf%", "-101%", "5 m3", "--5"])
def test_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--capacity"):
        CapacityChange.parse(text)


def test_more_saves_price_times_days() -> None:
    found = what_if(made_run(), "shelf", "+10%")
    # Five of the seven days of the first bucket are charged.
    assert [value.days for value in found.buckets] == [5, 3]
    assert [value.first_day for value in found.buckets] == ["2025-03-05", "2025-03-10"]
    assert [value.change for value in found.buckets] == [pytest.approx(-2.0 * 1.0 * 5), 0]
    assert [value.says for value in found.buckets] == ["at most", "exactly"]
    assert found.change == pytest.approx(-10)


def test_less_costs_and_says_where_the_price_ends() -> None:
    found = what_if(made_run(), "shelf", "-3")
    assert found.change == pytest.approx(2.0 * 3 * 5)
    assert not found.beyond_room
    assert [value.says for value in found.buckets] == ["at least", "at least"]
    assert what_if(made_run(), "shelf", "-5").beyond_room == [1]
    one = what_if(made_run(), "shelf", "5", [1])
    assert (one.change, one.beyond_room) == (0, [1])
    assert "--resolve" in headline(one)


def test_money_and_service_have_their_own_units() -> None:
    assert what_if(made_run(), "budget", "+10").change == pytest.approx(-0.5 * 10)
    # A floor that rises costs: price x demand x change of the share.
    found = what_if(made_run(), "promise", "0.95")
    assert found.change == pytest.approx(3.0 * DEMAND * 0.05)
    assert found.buckets[0].room == pytest.approx(0.01)
    assert found.buckets[0].says == "at least"
    assert what_if(made_run(), "promise", "0.85").change == pytest.approx(-3.0 * DEMAND * 0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shelv", "+1"), "choose one of shelf"),
        (("zzzzzz", "+1"), "choose one of shelf, budget"),
        (("shelf", "-11"), "capacity of zero or more"),
        (("promise", "+50%"), "share from 0 to 1"),
        (("shelf", "+1", [0, 4]), "choose from 0, 1"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        what_if(made_run(), *arguments)


def test_rows_of_one_bucket_replace_the_row_of_all() -> None:
    table = pl.DataFrame(
        {"resource_id": ["a", "b", "b", "c"], "bucket": [None, None, 2, 0], "capacity": [1.0, 2.0, 3.0, 4.0]}
    )
    found = changed_resources(table, "b", {1: 7.0, 2: 8.0}, 3)
    assert found.rows() == [("a", None, 1.0), ("b", 0, 2.0), ("b", 1, 7.0), ("b", 2, 8.0), ("c", 0, 4.0)]
    assert changed_resources(table, "c", {0: 9.0}, 3).rows()[3:] == [("c", 0, 9.0)]


def shown(found: WhatIf) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - closed with the test
    console.print(whatif_text(found))
    text = console.export_text()
    console.file.close()
    return text


def test_words_follow_the_figures() -> None:
    more, less = what_if(made_run(), "shelf", "+10%"), what_if(made_run(), "shelf", "-10%")
    assert "would save 10.00 USD over the horizon by its prices, 1.000% of the cost" in headline(more)
    assert "at most" in headline(more)
    assert "would cost 10.00" in headline(less)
    assert "at least" in headline(less)
    assert "bucket 1" in headline(what_if(made_run(), "[red]", "+1"))
    text = shown(what_if(made_run(), "[red]", "+1"))
    for part in ("[red] (outbound, m³ a day) +1", "2025-03-10", "-3.00", "at most", "--resolve"):
        assert part in text, part


def test_a_check_shows_both_sides() -> None:
    outcome = Check(-9.0, -8.5, 0.5, -10.0, -6.0, [1.2, 0.0], 0.001, "CONVERGED", [], 60, 12.0)
    text = shown(replace(what_if(made_run(), "shelf", "+10%"), check=outcome))
    for part in ("-10.00", "-8.00", "-8.50", "-9.00", "1.2", "it ended +0.50 from the run", "0.10%"):
        assert part in text, part
    assert "could not be kept" in shown(
        replace(
            what_if(made_run(), "shelf", "-10%"),
            check=replace(outcome, infeasible=[{"resource": "shelf", "bucket": 0}]),
        )
    )
