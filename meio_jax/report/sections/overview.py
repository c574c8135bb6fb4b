"""Head of the report: how the solve ended, the figures that matter, and what they mean in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from meio_jax.report.figures import Figures
from meio_jax.report.html import Markup, prose, tag
from meio_jax.report.numbers import number, share, whole
from meio_jax.report.parts import section
from meio_jax.results import Result
from meio_jax.runs.data import RunData

_GOOD, _FAIR, _BAD = "good", "fair", "bad"
# Violation from which on a capacity counts as missed, as a share.
_MISSED = 0.005


def verdict(certificate: Mapping[str, Any]) -> tuple[str, str]:
    """Outcome in words and its colour."""
    result = str(certificate["result"])
    words = result.lower().replace("_", " ")
    if result == "CONVERGED":
        return words, _GOOD
    return words, _BAD if result == "INFEASIBLE" else _FAIR


def _figure(name: str, value: str, note: str, mood: str = "") -> Markup:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, class_="value"),
        tag("dd", note, class_="note"),
        class_=f"tile {mood}".strip(),
    )


def _on_time(data: RunData) -> float | None:
    service = data.optional("plan/service")
    if service is None or not service["wanted"].sum():
        return None
    return float(service["promised"].sum()) / float(service["wanted"].sum())


def _above_bound(cost: float | None, bound: float | None, terms: Mapping[str, float | None]) -> str:
    """How far a plan lies above its bound, as a share of gross cost: the net cost itself may be near zero."""
    if bound is None:
        return "not computed"
    net = [terms.get("purchase") or 0.0, terms.get("terminal") or 0.0]
    others = [value or 0.0 for name, value in terms.items() if name not in ("purchase", "terminal")]
    gross = abs(sum(net)) + sum(map(abs, others))
    if cost is None or gross <= 0:
        return "no policy can cost less"
    return f"no policy can cost less; the plan costs more by {share((cost - bound) / gross)} of gross cost"


def _violation(value: float | None, *, failed: bool) -> str:
    """The largest violation: none that is a number is without limit, unless no figure of the run is one."""
    return share(None if failed else math.inf) if value is None else share(max(value, 0.0), 2)


def _tiles(data: RunData, figures: Figures) -> Markup:
    certificate, currency = data.certificate, data.currency
    low, high = certificate["holdout_cost_ci95"]
    cost, bound = certificate["holdout_cost"], certificate["clairvoyant_bound"]
    violation = certificate["largest_violation"]
    mood = _BAD if violation is None or violation > 0.05 else _FAIR if violation > 0.005 else _GOOD
    orders, transfers = data.table("plan/orders"), data.table("plan/transfers")
    on_time = _on_time(data)
    lost = float(figures.items["lost"].sum())
    tiles = [
        _figure(
            f"Expected cost, {currency}",
            number(cost),
            f"95 % interval {number(low)} to {number(high)}; {certificate['holdout_scenarios']} holdout scenarios",
        ),
        _figure(
            "Clairvoyant bound",
            number(bound),
            _above_bound(cost, bound, certificate["cost_terms"]),
        ),
        _figure(
            "Largest capacity violation",
            _violation(violation, failed=certificate["result"] == Result.NUMERICAL_FAILURE.name),
            f"worst resource and {data.bucket_word}, on holdout",
            mood,
        ),
        *_risk(certificate, currency),
        _figure("Coupling gap", share(certificate["coupling_gap"], 2), "price × excess, as a share of gross cost"),
        _figure(
            "Served as promised",
            share(on_time),
            "of all demand, at the promise asked for" if on_time is not None else "this run does not record it",
        ),
        _figure(
            "Lost sales",
            share(lost / figures.demand if figures.demand else None),
            f"{whole(lost)} of {whole(figures.demand)} units in {data.days} {data.period}s",
        ),
        *_waste(data, figures),
        _figure(
            "To buy today",
            whole(float(orders["units"].sum())),
            f"units in {whole(orders.height)} order lines, worth {number(float(orders['cost'].sum()))} {currency}",
        ),
        _figure(
            "To move today",
            whole(float(transfers["units"].sum())),
            f"units in {whole(transfers.height)} transfer lines",
        ),
    ]
    return tag("dl", tiles, class_="tiles")


def _risk(certificate: Mapping[str, Any], currency: str) -> list[Markup]:
    """Risk of the total cost, where one was asked for."""
    risk = certificate.get("total_risk")
    if risk is None:
        return []
    measure = f"CVaR at {share(risk['parameter'], 0)}" if risk["measure"] == "cvar" else "entropic risk"
    above = number(risk["risk"] - risk["mean"])
    note = f"± {number(1.96 * risk['risk_error'])} (95 %); {above} above the mean"
    return [_figure(f"Total cost, {measure}, {currency}", number(risk["risk"]), note)]


def _waste(data: RunData, figures: Figures) -> list[Markup]:
    """What expires, where anything can."""
    if "wasted" not in figures.items.columns:
        return []
    wasted, cost = float(figures.items["wasted"].sum()), float(figures.items["waste_cost"].sum())
    note = f"{whole(wasted)} units expire for {whole(figures.shipped)} shipped; disposal {number(cost)} {data.currency}"
    return [_figure("Wasted", share(wasted / figures.shipped if figures.shipped else None), note)]


def _scarce(figures: Figures, certificate: Mapping[str, Any]) -> str:
    """The resource whose price times use is largest, as a sentence."""
    missed = certificate["largest_violation"] is None or certificate["largest_violation"] > _MISSED
    if certificate["result"] in ("INFEASIBLE", "NUMERICAL_FAILURE"):
        return "Prices say nothing here: they are those of a plan that keeps its capacities, and none was found."
    top = figures.capacity.group_by("resource_id").agg(pl.col("rent").sum()).sort("rent", descending=True).head(1)
    if not top.height or top["rent"][0] <= 0:
        if missed:
            return "No capacity has a price yet, though the plan uses more than there is: the search has not settled."
        return "No capacity has a price: none of them limits the plan."
    return (
        f"The scarcest capacity is {top['resource_id'][0]}: price times use is {number(top['rent'][0])}. That is what "
        "its use is charged with, not what more of it would save (`meio whatif` says that)."
    )


def overview(data: RunData, figures: Figures) -> Markup:
    """Outcome, message, warnings and the key figures."""
    certificate = data.certificate
    words, mood = verdict(certificate)
    notes: list[Any] = [tag("p", note, class_="warning", role="note") for note in data.notes]
    for row in certificate["infeasible"]:
        text = (
            f"{row['resource']} in {data.bucket_word} {row['bucket'] + 1} cannot be kept by any plan found: at best "
            f"{share(row['relative'])} over."
        )
        notes.append(tag("p", text, class_="warning", role="note"))
    return section(
        "overview",
        "Overview",
        tag(
            "p",
            tag("strong", words.capitalize(), class_=f"badge {mood}"),
            " ",
            prose(certificate["message"]),
            class_="lead",
        ),
        notes,
        _tiles(data, figures),
        tag("p", _scarce(figures, certificate), class_="lead"),
    )
