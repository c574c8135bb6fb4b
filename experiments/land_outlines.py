"""How are the outlines made that lie behind the map of a report?

Natural Earth's land and country borders (1:50m) and the Census Bureau's state borders, both in the public domain, as
the npm packages `world-atlas` 2.0.2 and `us-atlas` 3.0.1 hand them on; simplified and written as whole numbers.

    npm pack world-atlas@2.0.2 us-atlas@3.0.1      # unpack both
    python -m experiments.land_outlines --world land/countries-50m.json --states us/states-10m.json

Result: `meio_jax/report/assets/land.json`, 80 kB.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

SCALE = 50
OUT = Path(__file__).parents[1] / "meio_jax" / "report" / "assets" / "land.json"


def arcs_of(topology: dict) -> list[np.ndarray]:
    """Arcs of a quantised TopoJSON file in degrees."""
    scale, shift = np.asarray(topology["transform"]["scale"]), np.asarray(topology["transform"]["translate"])
    return [np.cumsum(np.asarray(arc), axis=0) * scale + shift for arc in topology["arcs"]]


def numbers_of(geometry: dict) -> list[list[list[int]]]:
    """Rings of arc numbers by polygon."""
    if geometry["type"] == "Polygon":
        return [geometry["arcs"]]
    return geometry["arcs"] if geometry["type"] == "MultiPolygon" else []


def shared_arcs(geometries: list[dict]) -> tuple[list[int], list[int]]:
    """Arcs that two geometries share (borders), and those of one only (coasts)."""
    seen: dict[int, int] = {}
    for geometry in geometries:
        own = {a if a >= 0 else ~a for polygon in numbers_of(geometry) for ring in polygon for a in ring}
        for arc in own:
            seen[arc] = seen.get(arc, 0) + 1
    return [arc for arc, n in seen.items() if n > 1], [arc for arc, n in seen.items() if n == 1]


def simplified(line: np.ndarray, area: float) -> np.ndarray:
    """Visvalingam: drop the point that spans the smallest triangle until all are larger than `area` (degrees^2)."""
    points = list(map(tuple, line))
    while len(points) > 4:
        p = np.asarray(points)
        a, b, c = p[:-2], p[1:-1], p[2:]
        size = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])) / 2
        size = size * np.cos(np.radians(np.clip(b[:, 1], -80, 80)))
        at = int(np.argmin(size))
        if size[at] > area:
            break
        # Far from the smallest, several can go at once.
        small = [i for i in np.argsort(size)[: max(1, len(points) // 50)] if size[i] <= area]
        for i in sorted(small, reverse=True):
            if i + 1 < len(points) - 1:
                del points[i + 1]
    return np.asarray(points)


def joined(ring: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    """Arcs of a ring one after the other."""
    parts = [arcs[a] if a >= 0 else arcs[~a][::-1] for a in ring]
    return np.concatenate([parts[0], *[part[1:] for part in parts[1:]]])


def coded(line: np.ndarray) -> list[int]:
    """Whole numbers: the first point, then differences."""
    whole = np.rint(line * SCALE).astype(int)
    keep = np.concatenate([[True], np.any(np.diff(whole, axis=0) != 0, axis=1)])
    whole = whole[keep]
    return np.concatenate([whole[:1], np.diff(whole, axis=0)]).reshape(-1).tolist()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--states", type=Path, required=True)
    options = parser.parse_args()
    world, states = json.loads(options.world.read_text()), json.loads(options.states.read_text())
    arcs = [simplified(arc, 0.02) for arc in arcs_of(world)]
    land = []
    for geometry in world["objects"]["land"]["geometries"]:
        for polygon in numbers_of(geometry):
            ring = joined(polygon[0], arcs)
            x, y = ring[:, 0], ring[:, 1]
            size = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
            if size > 0.5 and y.max() > -60:
                land.append(coded(ring))
    borders, _ = shared_arcs(world["objects"]["countries"]["geometries"])
    state_arcs = [simplified(arc, 0.02) for arc in arcs_of(states)]
    inner, _ = shared_arcs(states["objects"]["states"]["geometries"])
    content = {
        "source": "Natural Earth 4.1 (public domain); US Census Bureau cartographic boundaries 2017 (public domain)",
        "scale": SCALE,
        "land": land,
        "borders": [coded(arcs[a]) for a in borders],
        "states": [coded(state_arcs[a]) for a in inner],
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    print(OUT, OUT.stat().st_size, {key: len(value) for key, value in content.items() if isinstance(value, list)})


if __name__ == "__main__":
    main()
