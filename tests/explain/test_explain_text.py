"""The words of an explanation fit its figures."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from meio_jax.cli.explain_text import explanation_text, paragraph
from meio_jax.explain import Change, Explanation, Place

USUAL = Explanation(
    item_id="paper[bold]",
    node_id="shop",
    currency="EUR",
    days=28,
    scenarios=64,
    targets=[20.2, 21.8],
    units=[20, 22],
    today=7.0,
    mean_on_hand=9.5,
    ordered=132.0,
    terms={"purchase": 40.0, "terminal": -38.0, "lost_sale": -6.0, "holding": 1.0},
    charges={"storage": 3.1},
    slope=0.1,
    slope_by_bucket=[0.05, 0.05],
    plus_one={"terms": -2.0, "charges": 3.0},
    minus_one={"terms": 4.0, "charges": -3.0},
    worth_today=12.3,
    volume_m3=0.02,
    storage_rent=0.06,
    storage_measure="m3",
    storage_size=0.02,
    changes=[Change("lost-sale cost", "EUR per unit", 10.0, 11.5, "above", None, "below")],
    places=[Place("shop", 21.0, 9.5, 7.0, 0.1)],
)


IDLE = {"terms": {}, "charges": {}, "slope": 0.0}


def test_the_paragraph_names_what_moves() -> None:
    words = paragraph(USUAL)
    for part in (
        "20 to 22 units",
        "9.5 on average",
        "save 6.00 on lost sales",
        "3.10 on storage capacity",
        "12.30 EUR",
    ):
        assert part in words, part
    assert "that is why the level is where it is" in words


def test_names_stand_before_ids() -> None:
    named = replace(USUAL, names={"paper[bold]": "Paper A4", "shop": "Shop North"})
    assert paragraph(named).startswith("Shop North (shop) orders Paper A4 (paper[bold]) up to")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(explanation_text(named))
    text = console.export_text()
    assert "One unit more of Paper A4 (paper[bold]) at Shop North (shop)" in text
    assert "All sites of Paper A4 (paper[bold])" in text


def test_stock_is_no_reason_where_something_is_ordered() -> None:
    """A level that nothing depends on, 132 units ordered: stock above the level is not why."""
    words = paragraph(replace(USUAL, **IDLE, today=40.0))
    assert "the level decides nothing here" in words
    assert "in stock, more than the level" not in words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"slope": 3.0}, "In whole units the level is the best: one more would cost 1.00, one less 1.00"),
        ({"slope": -3.0, "plus_one": {"terms": -5.0, "charges": 1.0}}, "one unit more would save 4.00"),
        ({"slope": 3.0, "minus_one": {"terms": -5.0, "charges": 1.0}}, "one unit less would save 4.00"),
        (IDLE, "although 132.0 units are ordered on average"),
        (IDLE | {"ordered": 0.0}, "In no scenario is anything ordered."),
        (IDLE | {"ordered": 0.0, "today": 40.0}, "40 units are in stock, more than the level"),
        ({"targets": [0.0], "units": [0], "slope": 3.0}, "so the level is 0."),
        ({"minus_one": {"terms": -5.0, "charges": 1.0}}, "but not so in whole units: one unit less would save 4.00"),
    ],
)
def test_the_verdict_follows_the_figures(changed: dict, words: str) -> None:
    assert words in paragraph(replace(USUAL, **changed))


def test_purchase_and_credit_count_as_one() -> None:
    assert USUAL.gross == pytest.approx((2.0 + 6.0 + 1.0 + 3.1) / 2)


def test_tables_show_names_as_they_are() -> None:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - closed with the test
    console.print(explanation_text(USUAL))
    text = console.export_text()
    console.file.close()
    for part in (
        "paper[bold]",
        "saves 38.00",
        "above 11.50",
        "no value",
        "0.0600 a unit and day: price × 0.02 m³",
        "+1.00",
        "EUR per unit",
    ):
        assert part in text, part
