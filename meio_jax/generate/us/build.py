"""From the folder of real data to the instance folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meio_jax.folders import Claim, check_claim, held, written_beside
from meio_jax.generate.us.assemble import SIZES, Parts, make_parts, pick_items
from meio_jax.generate.us.sources import check_files, read_sales
from meio_jax.generate.us.write import write_instance

BUCKET_PERIODS = 7


def build_us_instance(
    data: Path,
    folder: Path,
    size: str = "small",
    *,
    seed: int = 0,
    form: str | None = None,
    evaluate: bool | None = None,
    history_days: int = 364,
    periods: int = 42,
    tightness: float = 1.0,
    overwrite: bool = False,
) -> Parts:
    """Build the instance folder from the data folder; everything is read and checked before anything is written.

    Args:
        data: folder of the real data (files: docs/us_network.md).
        folder: instance folder to write.
        size: `small` or `full`.
        seed: of all draws (which items, sizes, vendors, cut-offs, starting stock).
        form: `history` or `mean`; None takes history for small, mean for full.
        evaluate: keep the last 28 recorded days apart; None does so for small.
        history_days: days of past sales (small).
        periods: horizon, days.
        tightness: factor on all capacities but service floors.
        overwrite: replace an instance that was generated there before, once this one is whole.

    Returns:
        The parts that the tables were written from.

    Raises:
        InputError: If a file or column of the data is missing, the data are too few for the size, or the folder holds
            anything that may not be replaced.
    """
    claim = Claim("instance", "", overwrite=overwrite)
    check_claim(folder, claim)
    check_files(data)
    evaluate = size == "small" if evaluate is None else evaluate
    form = ("history" if size == "small" else "mean") if form is None else form
    sales = read_sales(data, size, evaluate, history_days)
    sales = pick_items(sales, SIZES[size].items, np.random.default_rng([seed, 10]))
    parts = make_parts(data, size, sales, seed)
    with held(folder, "meio solve"), written_beside(folder, claim) as coming:
        write_instance(
            coming,
            sales,
            parts,
            form=form,
            periods=periods,
            bucket_periods=BUCKET_PERIODS,
            tightness=tightness,
            seed=seed,
        )
    return parts
