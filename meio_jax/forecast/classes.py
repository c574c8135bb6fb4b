"""Classes of demand by how often an item sells and how much its sales differ (Syntetos, Boylan and Croston 2005)."""

from __future__ import annotations

import numpy as np

CLASSES = ("smooth", "erratic", "intermittent", "lumpy", "sparse")
"""`sparse` is ours: too few sales for the two figures that part the other four."""

OFTEN = 1.32
"""Mean days between days with sales, below which an item sells often."""

VARIED = 0.49
"""Squared coefficient of variation of the sales of days with sales, from which sizes count as varied."""

FEW_SALES = 8


def demand_class(units: np.ndarray) -> str:
    """Class of the sales of one item.

    Args:
        units: Sales by day, `[days]`.
    """
    sold = units[units > 0]
    if sold.size < FEW_SALES:
        return "sparse"
    often = units.size / sold.size < OFTEN
    varied = float(sold.var()) / float(sold.mean()) ** 2 >= VARIED
    return ("erratic" if varied else "smooth") if often else ("lumpy" if varied else "intermittent")
