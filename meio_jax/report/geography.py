"""From latitude and longitude to the plane of a map: projection, frame, outlines, places that do not overlap."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from meio_jax.report.numbers import Real

_CONIC_SPAN = 110.0
"""Degrees of longitude up to which a conic map is drawn; wider ones are plain."""


@dataclass(frozen=True)
class Frame:
    """A map of `width` x `height` that shows the given degrees; conic (Albers) or plain (equirectangular)."""

    west: Real
    east: Real
    south: Real
    north: Real
    width: Real
    height: Real
    conic: bool

    def project(self, longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Horizontal and vertical place on the map, in the unit of `width`."""
        x, y = self._plane(longitude, latitude)
        left, right, bottom, top = self._extent()
        scale = min(self.width / (right - left), self.height / (top - bottom))
        return (
            (x - (left + right) / 2) * scale + self.width / 2,
            self.height / 2 - (y - (bottom + top) / 2) * scale,
        )

    def _plane(self, longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        longitude, latitude = np.radians(np.asarray(longitude, float)), np.radians(np.asarray(latitude, float))
        middle = math.radians((self.west + self.east) / 2)
        if not self.conic:
            flat = math.cos(math.radians((self.south + self.north) / 2))
            return (longitude - middle) * flat, latitude
        # Albers equal-area conic with its standard parallels a sixth from the edges (Snyder 1987, section 14).
        low = math.radians(self.south + (self.north - self.south) / 6)
        high = math.radians(self.north - (self.north - self.south) / 6)
        cone = (math.sin(low) + math.sin(high)) / 2
        constant = math.cos(low) ** 2 + 2 * cone * math.sin(low)
        radius = np.sqrt(np.maximum(constant - 2 * cone * np.sin(latitude), 0)) / cone
        angle = cone * (longitude - middle)
        return radius * np.sin(angle), -radius * np.cos(angle)

    def _extent(self) -> tuple[float, float, float, float]:
        across = np.linspace(self.west, self.east, 25)
        up = np.linspace(self.south, self.north, 25)
        edge_x = np.concatenate([across, across, np.full(25, self.west), np.full(25, self.east)])
        edge_y = np.concatenate([np.full(25, self.south), np.full(25, self.north), up, up])
        x, y = self._plane(edge_x, edge_y)
        return float(x.min()), float(x.max()), float(y.min()), float(y.max())


def frame_of(longitude: np.ndarray, latitude: np.ndarray, width: Real, height: Real) -> Frame:
    """A frame around places, with a margin."""
    margin_x = max(0.07 * np.ptp(longitude), 0.6)
    margin_y = max(0.10 * np.ptp(latitude), 0.5)
    west, east = float(longitude.min() - margin_x), float(longitude.max() + margin_x)
    south, north = max(float(latitude.min() - margin_y), -89.0), min(float(latitude.max() + margin_y), 89.0)
    conic = east - west <= _CONIC_SPAN and abs(south + north) > 20 and south * north > 0
    return Frame(west, east, south, north, width, height, conic)


@cache
def _outlines() -> dict:
    text = resources.files("meio_jax.report").joinpath("assets", "land.json").read_text(encoding="utf-8")
    return json.loads(text)


def outline_source() -> str:
    """Where the outlines come from."""
    return _outlines()["source"]


def _decoded(coded: list[int]) -> np.ndarray:
    return np.cumsum(np.asarray(coded, float).reshape(-1, 2), axis=0) / _outlines()["scale"]


def _clipped(ring: np.ndarray, axis: int, limit: Real, keep_above: bool) -> np.ndarray:
    """One edge of Sutherland-Hodgman: the part of a closed ring on one side of a line."""
    if not len(ring):
        return ring
    sign = 1.0 if keep_above else -1.0
    inside = sign * (ring[:, axis] - limit) >= 0
    out = []
    for at in range(len(ring)):
        before, here = ring[at - 1], ring[at]
        if inside[at] != inside[at - 1]:
            part = (limit - before[axis]) / (here[axis] - before[axis])
            out.append(before + part * (here - before))
        if inside[at]:
            out.append(here)
    return np.asarray(out).reshape(-1, 2)


def _path(points: np.ndarray, frame: Frame, close: str) -> str:
    x, y = frame.project(points[:, 0], points[:, 1])
    return "M" + "L".join(f"{a:.0f} {b:.0f}" for a, b in zip(x, y, strict=True)) + close


def land_path(frame: Frame) -> str:
    """Path of the land inside a frame (and a little beyond)."""
    wide, high = 0.35 * (frame.east - frame.west) + 2, 0.35 * (frame.north - frame.south) + 2
    parts = []
    for coded in _outlines()["land"]:
        ring = _decoded(coded)
        for axis, limit, above in (
            (0, frame.west - wide, True),
            (0, frame.east + wide, False),
            (1, frame.south - high, True),
            (1, frame.north + high, False),
        ):
            ring = _clipped(ring, axis, limit, above)
        if len(ring) > 2:
            parts.append(_path(ring, frame, "Z"))
    return "".join(parts)


def border_path(frame: Frame, states: bool) -> str:
    """Path of the country borders (or state borders) that touch a frame."""
    parts = []
    for coded in _outlines()["states" if states else "borders"]:
        line = _decoded(coded)
        x, y = line[:, 0], line[:, 1]
        near = (x > frame.west - 20) & (x < frame.east + 20) & (y > frame.south - 15) & (y < frame.north + 15)
        if near.all() or (near.any() and not frame.conic):
            parts.append(_path(line, frame, ""))
    return "".join(parts)


def apart(x: np.ndarray, y: np.ndarray, distance: Real) -> tuple[np.ndarray, np.ndarray]:
    """Places pushed apart until neighbours are `distance` from each other, or nearly so."""
    x, y = x.astype(float).copy(), y.astype(float).copy()
    # A fixed small spiral splits places that coincide.
    turn = np.arange(x.size) * 2.399963
    x, y = x + 0.01 * np.cos(turn), y + 0.01 * np.sin(turn)
    for _ in range(60):
        dx, dy = x[:, None] - x[None], y[:, None] - y[None]
        gap = np.hypot(dx, dy)
        np.fill_diagonal(gap, np.inf)
        push = np.where(gap < distance, (distance - np.minimum(gap, distance)) / 2 / np.maximum(gap, 1e-9), 0)
        if not push.any():
            break
        x, y = x + np.sum(push * dx, 1) * 0.5, y + np.sum(push * dy, 1) * 0.5
    return x, y


def label_places(
    x: np.ndarray, y: np.ndarray, radius: np.ndarray, width: np.ndarray, height: Real
) -> list[tuple[float, float, str] | None]:
    """Where to write the names of circles so that no two names or circles overlap.

    Args:
        x: Centres of the circles, those that matter most first.
        y: The same, downwards.
        radius: Of each circle.
        width: Of each name.
        height: Of a line of text.

    Returns:
        For each circle the anchor (start, middle or end of the base line) of its name, or None where there is no room.
    """
    boxes = [(a - r, b - r, a + r, b + r) for a, b, r in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]
    found: list[tuple[float, float, str] | None] = []
    for at, (a, b, r, w) in enumerate(zip(*(each.tolist() for each in (x, y, radius, width)), strict=True)):
        gap = r + 4
        options = (
            ((a, b - gap, "middle"), (a - w / 2, b - gap - height, a + w / 2, b - gap)),
            ((a + gap, b + height / 3, "start"), (a + gap, b - height / 2, a + gap + w, b + height / 2)),
            ((a - gap, b + height / 3, "end"), (a - gap - w, b - height / 2, a - gap, b + height / 2)),
            ((a, b + gap + height - 3, "middle"), (a - w / 2, b + gap, a + w / 2, b + gap + height)),
        )
        free = (one for one in options if not any(_overlap(one[1], box) for i, box in enumerate(boxes) if i != at))
        chosen = next(free, None)
        found.append(None if chosen is None else chosen[0])
        if chosen is not None:
            boxes.append(chosen[1])
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
