"""Numbers as a person reads them: few digits, thousands parted, a unit where there is one."""

from __future__ import annotations

import math

Real = float | int
"""A figure, whole or not."""

_MISSING = "–"
_LARGE = ((1e12, "T"), (1e9, "bn"), (1e6, "M"))


def number(value: Real | None) -> str:
    """Three or four leading digits; millions and more are abbreviated."""
    if value is None or not math.isfinite(value):
        return _MISSING if value is None or value != value else ("∞" if value > 0 else "−∞")
    size = abs(value)
    for unit, name in _LARGE:
        if size >= unit:
            return _signed(f"{value / unit:,.2f} {name}")
    if size >= 100 or value == int(value):
        return _signed(f"{value:,.0f}")
    if size >= 1:
        return _signed(f"{value:,.1f}" if size >= 10 else f"{value:,.2f}")
    return _signed(f"{value:.2g}" if size >= 1e-4 else f"{value:.1e}")


def whole(value: Real | None) -> str:
    """A count."""
    return number(value) if value is None or not abs(value) < 1e6 else _signed(f"{value:,.0f}")


def share(value: Real | None, digits: int = 1) -> str:
    """A share as a percentage."""
    if value is None or value != value:
        return _MISSING
    if not math.isfinite(value):
        return "∞"
    return _signed(f"{100 * value:,.{digits}f} %")


def _signed(shown: str) -> str:
    # A true minus sign is as wide as a plus, so columns of figures line up; and nothing is minus zero.
    if not shown.startswith("-"):
        return shown
    return f"−{shown[1:]}" if any(digit in shown for digit in "123456789") else shown[1:]


def nice_ticks(low: Real, high: Real, count: int = 5) -> list[float]:
    """Round values that cover `low` to `high` in about `count` steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        high = low + max(abs(low), 1.0) * 0.1
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]
