"""Shares of cost terms hold where the net cost is near 0 or negative."""

import pytest

from meio_jax.report.sections.cost import shares_of_terms


def test_shares_are_of_all_terms_without_sign() -> None:
    terms = {"purchase": 3635.0, "outbound": 365.0, "terminal": -4000.0}
    shares = shares_of_terms({**terms, "total": 0.5}, of=list(terms))
    assert shares == pytest.approx({"purchase": 0.454375, "outbound": 0.045625, "terminal": -0.5, "total": 0.0000625})


def test_there_is_no_share_of_nothing() -> None:
    assert shares_of_terms({"purchase": 0.0, "total": 0.0}, of=["purchase"]) == {"purchase": None, "total": None}
