"""Small charts as inline SVG: lines, bars and sparklines. Colours and type come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import Real, nice_ticks, number

_WIDTH, _HEIGHT = 380.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 10.0, 10.0, 32.0
_POINTS = 240


@dataclass(frozen=True)
class Series:
    """One line: its name, values (`None` leaves a gap) and the number of its colour in the style sheet."""

    name: str
    x: Sequence[Real]
    y: Sequence[Real | None]
    colour: int


@dataclass(frozen=True)
class Level:
    """A horizontal line at a value that matters, such as a tolerance or a bound."""

    name: str
    value: Real


@dataclass(frozen=True)
class Axes:
    """What the axes of a line chart show; `log` cuts values below `floor`."""

    x_label: str
    y_label: str
    show: Callable[[Real], str] = number
    log: bool = False
    floor: float = 1e-4


def _thinned(series: Series) -> Series:
    every = max(1, -(-len(series.x) // _POINTS))
    keep = [at for at in range(len(series.x)) if at % every == 0 or at == len(series.x) - 1]
    return Series(series.name, [series.x[at] for at in keep], [series.y[at] for at in keep], series.colour)


def _known(values: Sequence[Real | None]) -> list[Real]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _scale(values: list[Real], axes: Axes) -> tuple[list[float], Callable[[Real], Real]]:
    """Ticks of the vertical axis, and where a value lies on it (0 bottom, 1 top)."""
    if axes.log:
        inside = [max(value, axes.floor) for value in values] or [axes.floor]
        least = math.floor(math.log10(min(inside)))
        most = max(math.ceil(math.log10(max(inside)) - 1e-9), least + 1)
        powers = [10.0**power for power in range(least, most + 1)]
        return powers, lambda value: (math.log10(max(value, axes.floor)) - least) / (most - least)
    ticks = nice_ticks(min(values, default=0.0), max(values, default=1.0))
    low, high = ticks[0], ticks[-1]
    return ticks, lambda value: (value - low) / (high - low)


def _path(series: Series, across: Callable[[Real], Real], up: Callable[[Real], Real]) -> str:
    parts, pen = [], "M"
    for x, y in zip(series.x, series.y, strict=True):
        if y is None or not math.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{across(x):.1f} {up(y):.1f}")
        pen = "L"
    return "".join(parts)


def line_chart(lines: Sequence[Series], axes: Axes, levels: Sequence[Level] = (), *, label: str) -> Markup:
    """Lines over a common horizontal axis, with a legend.

    Args:
        lines: What to draw, at most a few hundred points each (longer ones are thinned).
        axes: Labels and scale.
        levels: Dashed lines at values that matter.
        label: What the chart shows, for people who do not see it.
    """
    lines = [_thinned(line) for line in lines]
    at_x = [x for line in lines for x in line.x] or [0.0, 1.0]
    low_x, high_x = min(at_x), max(max(at_x), min(at_x) + 1)
    values = [y for line in lines for y in _known(line.y)] + [level.value for level in levels]
    ticks, place = _scale(values, axes)
    across = lambda x: _LEFT + (x - low_x) / (high_x - low_x) * (_WIDTH - _LEFT - _RIGHT)
    up = lambda y: _HEIGHT - _BOTTOM - min(max(place(y), 0.0), 1.0) * (_HEIGHT - _TOP - _BOTTOM)
    grid = []
    for tick in ticks:
        y = f"{up(tick):.1f}"
        grid.append(tag("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y))
        grid.append(tag("text", axes.show(tick), class_="tick end", x=_LEFT - 6, y=f"{up(tick) + 4:.1f}"))
    for tick in nice_ticks(low_x, high_x, 4):
        if low_x <= tick <= high_x:
            grid.append(tag("text", number(tick), class_="tick mid", x=f"{across(tick):.1f}", y=_HEIGHT - 16))
    grid.append(tag("text", axes.x_label, class_="tick mid", x=(_LEFT + _WIDTH) / 2, y=_HEIGHT - 2))
    marks = [
        tag("line", class_="level", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{up(one.value):.1f}", y2=f"{up(one.value):.1f}")
        for one in levels
    ]
    drawn = [tag("path", class_=f"line c{line.colour}", d=_path(line, across, up)) for line in lines]
    picture = tag(
        "svg",
        grid,
        marks,
        drawn,
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
        aria_label=label,
        class_="chart",
    )
    keys = [tag("li", tag("span", class_=f"key c{line.colour}"), line.name) for line in lines]
    keys += [tag("li", tag("span", class_="key dashed"), f"{one.name}: {axes.show(one.value)}") for one in levels]
    return tag("figure", tag("figcaption", axes.y_label), picture, tag("ul", keys, class_="legend"))


@dataclass(frozen=True)
class Bar:
    """One bar of a bar chart; `part` is a second figure shown behind the value."""

    name: str
    value: Real
    part: str = ""
    colour: int = 1


def bar_chart(bars: Sequence[Bar], *, label: str, show: Callable[[Real], str] = number) -> Markup:
    """Horizontal bars, negative ones to the left of the common base line."""
    low, high = min([0.0, *(bar.value for bar in bars)]), max([0.0, *(bar.value for bar in bars)])
    span = high - low or 1.0
    name_width, figure_width, row = 96.0, 92.0, 26.0
    width = _WIDTH - name_width - figure_width
    across = lambda value: name_width + (value - low) / span * width
    parts = []
    for at, bar in enumerate(bars):
        left, right = sorted((across(0), across(bar.value)))
        middle = at * row + row / 2 + 4
        size = max(right - left, 0.8)
        shape = {"x": f"{left:.1f}", "y": f"{at * row + 4:.1f}", "width": f"{size:.1f}", "height": f"{row - 8:.1f}"}
        parts.append(tag("rect", class_=f"bar c{bar.colour}", rx=2, **shape))
        parts.append(tag("text", bar.name, class_="tick end strong", x=name_width - 8, y=f"{middle:.1f}"))
        shown = show(bar.value) + (f"  {bar.part}" if bar.part else "")
        parts.append(tag("text", shown, class_="tick end", x=_WIDTH - 2, y=f"{middle:.1f}"))
    height = len(bars) * row + 4
    zero = f"{across(0):.1f}"
    parts.append(tag("line", class_="axis", x1=zero, x2=zero, y1=0, y2=height))
    return tag("svg", parts, viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}", role="img", aria_label=label, class_="chart")


def sparkline(values: Sequence[Real], *, label: str) -> Markup:
    """A row of figures as a tiny step line that starts at zero."""
    top = max([*values, 1e-9])
    step = 72.0 / max(len(values), 1)
    path = ""
    for at, value in enumerate(values):
        y = 20 - 18 * max(value, 0) / top
        path += f"{'M' if at == 0 else 'L'}{at * step:.1f} {y:.1f}L{(at + 1) * step:.1f} {y:.1f}"
    return tag(
        "svg", tag("path", class_="line c1", d=path), viewBox="0 0 72 22", role="img", aria_label=label, class_="spark"
    )
