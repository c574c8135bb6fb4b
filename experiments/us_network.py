"""Question: what does a US-wide instance of real data look like, and how well do its parts fit?

    python experiments/us_network.py --data DIR --out DIR --size small
    python experiments/us_network.py --data DIR --out DIR --size full

DIR of the data holds the files named in docs/us_network.md, which says what is real and what is assumed. The
result is an instance folder (with --evaluate-last-28 also `actuals/actual.parquet`: item_id, ds, units) and a
table of the fit of the parcel rates, printed at the end.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from meio_jax.errors import InputError
from meio_jax.generate.us import Parts, build_us_instance


class Size(StrEnum):
    """How much of the data is used."""

    small = "small"
    full = "full"


class Form(StrEnum):
    """Forms of the forecast table that can be made from past sales."""

    history = "history"
    mean = "mean"


def report(parts: Parts) -> None:
    """Print counts, and the fit of the parcel rates by zone."""
    network, rates = parts.network, parts.rates
    tiers = np.bincount(network.tier, minlength=3)
    print(f"nodes {tiers.sum()} (dc {tiers[0]}, fc {tiers[1]}, same_day {tiers[2]})")
    print(f"regions {len(network.region_id)}")
    print(f"items {len(parts.ids)}, vendors {len(parts.samples)}, people covered {parts.covered:.1%}")
    print(f"one-day price over standard: {rates.fast_factor:.3f}")
    print("zone  per parcel  per kg   rmse USD  rmse/mean")
    for z in range(len(rates.per_kg)):
        fit = f"{rates.rmse[z]:8.2f}  {rates.relative[z]:8.1%}"
        print(f"{z + 1:4d}  {rates.per_parcel[z]:10.2f}  {rates.per_kg[z]:6.3f}  {fit}")


def main(
    data: Annotated[Path, typer.Option(help="folder with the real data")],
    out: Annotated[Path, typer.Option(help="instance folder to write")],
    size: Annotated[Size, typer.Option()] = Size.small,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    forecast: Annotated[Form | None, typer.Option(help="default: small history, full mean")] = None,
    evaluate_last_28: Annotated[bool | None, typer.Option(help="keep the last 28 days apart (small: on)")] = None,
    history_days: Annotated[int, typer.Option(min=28, max=1900, help="days of past sales (small)")] = 364,
    periods: Annotated[int, typer.Option(min=7)] = 42,
    tightness: Annotated[float, typer.Option(min=0.1)] = 1.0,
) -> None:
    """Build the US instance."""
    try:
        parts = build_us_instance(
            data,
            out,
            size.value,
            seed=seed,
            form=forecast.value if forecast else None,
            evaluate=evaluate_last_28,
            history_days=history_days,
            periods=periods,
            tightness=tightness,
        )
    except InputError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    report(parts)


if __name__ == "__main__":
    typer.run(main)
