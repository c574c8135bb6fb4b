"""Two stages in series with backorders at given echelon levels, Poisson demand (Clark and Scarf 1960).

**Derivation.** Stage 2 orders from a vendor with lead time L2 up to the echelon level s2; stage 1 draws on stage 2 over
a lane with lead time L1 up to s1. What stage 2 holds, what is on the lane and the net stock of stage 1 add up to
s2 - D2, with D2 the demand of L2 periods. Stage 2 sends all that stage 1 asks for as far as it goes, so after it has
sent, the position of stage 1 is y = min(s1, s2 - D2), and stage 2 keeps (s2 - D2 - s1)+. A lane time later the net
stock of stage 1 is y - D1, with D1 the demand of L1 periods, independent of D2. With local holding costs h1, h2 and
backorder cost p, and nothing charged on the lane,

    C(s1, s2) = E g(min(s1, s2 - D2)) + h2 E(s2 - D2 - s1)+,   g(y) = h1 E(y - D1)+ + p E(D1 - y)+,

    dC/ds1 = P(s2 - D2 > s1) (g'(s1) - h2),
    dC/ds2 = E[g'(s2 - D2); s2 - D2 < s1] + h2 P(s2 - D2 > s1),

with g'(y) = (h1 + p) P(D1 <= y) - p. For whole demand these are slopes between kinks: levels and their differences must
not be whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import one_site
from one_site import Whole


@dataclass(frozen=True)
class Chain:
    """Demand during both lead times, local holding costs (downstream first), backorder cost."""

    downstream: Whole
    upstream: Whole
    holding: tuple[float, float]
    penalty: float

    def _left(self, s2: float) -> np.ndarray:
        return s2 - np.arange(len(self.upstream.probability))

    def cost(self, s1: float, s2: float) -> float:
        """Expected cost of a period."""
        left = self._left(s2)
        stage = np.array([one_site.cost(self.downstream, min(s1, y), self.holding[0], self.penalty) for y in left])
        return float((stage + self.holding[1] * np.maximum(left - s1, 0)) @ self.upstream.probability)

    def slopes(self, s1: float, s2: float) -> tuple[float, float]:
        """Derivatives in both levels."""
        left, probability = self._left(s2), self.upstream.probability
        ample = left > s1
        own = lambda y: one_site.slope(self.downstream, y, self.holding[0], self.penalty)
        short = sum(own(y) * chance for y, chance in zip(left[~ample], probability[~ample], strict=True))
        enough = float(probability[ample].sum())
        return enough * (own(s1) - self.holding[1]), float(short) + self.holding[1] * enough
