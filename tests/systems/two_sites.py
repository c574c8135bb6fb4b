"""Two sites that share the demand of one region for a day: the near one is asked first, the other serves what is left.

**Derivation.** With q1, q2 on the shelves, D asked, parcels at c1 < c2, lost sales at p and holding cost h on what is
left, the near site serves min(D, q1), the other min((D - q1)+, q2), and (D - q1 - q2)+ is lost (the one-way
substitution of Bassok, Anupindi and Akella 1999 with two classes of stock and one of demand). With T(x) = E(D - x)+

    C = c1 (E D - T(q1)) + c2 (T(q1) - T(q1 + q2)) + p T(q1 + q2) + h (q1 + q2 - E D + T(q1 + q2)),

since all but the lost is served and what is left is stock minus what was served. T'(x) = -P(D > x) gives

    dC/dq1 = (c1 - c2) P(D > q1) + (c2 - p - h) P(D > q1 + q2) + h,
    dC/dq2 =                       (c2 - p - h) P(D > q1 + q2) + h.

Stock at the near site is worth more by the parcel that it saves, (c2 - c1) P(D > q1): why one unit lies where it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from one_site import Whole


@dataclass(frozen=True)
class Pair:
    """Demand of the day, parcel costs of the near and the far site, cost of a lost sale, holding cost."""

    demand: Whole
    parcels: tuple[float, float]
    lost: float
    holding: float

    def _short(self, stock: float) -> float:
        return self.demand.mean - stock + self.demand.over(stock)

    def cost(self, near: float, far: float) -> float:
        """Expected cost of the day."""
        first, both = self._short(near), self._short(near + far)
        parcels = self.parcels[0] * (self.demand.mean - first) + self.parcels[1] * (first - both)
        return parcels + self.lost * both + self.holding * (near + far - self.demand.mean + both)

    def slopes(self, near: float, far: float) -> tuple[float, float]:
        """Derivatives in both stocks."""
        first, both = (1 - self.demand.cdf(stock) for stock in (near, near + far))
        shared = (self.parcels[1] - self.lost - self.holding) * both + self.holding
        return (self.parcels[0] - self.parcels[1]) * first + shared, shared
