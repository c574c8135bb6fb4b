"""Few sample paths: plans are searched on scenarios of a law fitted to them, and judged on the paths."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from meio_jax.demand.base import LEVEL, AbstractDemand, Draws, by_scenario
from meio_jax.demand.mean import LAWS, MeanDemand
from meio_jax.demand.paths import PathDemand

# With fewer paths a search that sees half of them over and over learns them by heart. Judged by the law that paths were
# drawn from, plans by the fitted law cost 0.4 to 0.6 % less with 12 paths. With 100 they cost 0.1 % less, or where days
# depend on each other in a way that the law does not know, 0.4 % more.
FEW, LEAST = 64, 4
_TRAINING = 0


class FewPathDemand(AbstractDemand):
    """Training scenarios of a fitted law; holdout and validation scenarios are paths that the law has not seen.

    A level of demand that lasts the whole scenario (gamma, of mean 1 and variance `lasting`) times the days of `law`,
    which are independent. Both are fitted by moments to the paths of training: the mean of every period, one
    dispersion of an item's periods, and what the totals of whole paths vary beyond that. That items move together in
    the given paths is kept where plans are judged, not where they are searched.
    """

    paths: PathDemand
    law: MeanDemand
    lasting: Float[Array, "*blocks items"]

    @property
    def note(self) -> str:
        """What is to be said of a search on these scenarios."""
        count = self.paths.samples.shape[-3]
        return f"{count} sample paths: levels are searched on a law fitted to half of them, and judged on the others"

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        def fresh(draws: Draws) -> Float[Array, "periods batch"]:
            level = draws.gamma(LEVEL, by_scenario(self.lasting, samples)[None])
            own = replace(draws, factor=jnp.broadcast_to(level, draws.factor.shape), world=None)
            units = self.law.totals(own, periods, samples)
            return jnp.where(by_scenario(self.whole(), samples), jnp.round(units), units)

        given = lambda draws: self.paths.totals(draws, periods, samples)
        return jax.lax.cond(draws.purpose == _TRAINING, fresh, given, draws)

    def mean_total(self) -> Float[Array, " items"]:
        return self.paths.mean_total()

    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        return self.paths.period_means(periods)

    def variance_terms(self) -> Float[Array, "2 items"]:
        return self.paths.variance_terms()

    def whole(self) -> Bool[Array, " items"]:
        return self.paths.whole()


def fitted_law(samples: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean and dispersion `[periods, items]`, number of the law and variance of the lasting level `[items]`.

    Args:
        samples: The given paths, `[paths, periods, items]`; those of training, every other one, are used.
        known: Periods that were given; those after them repeat the last week, which says nothing of how days vary.
    """
    whole = (samples == np.round(samples)).all((0, 1))
    every, used = samples[::2].mean(0), samples[::2, :known]
    mean, variance = every[:known], used.var(0, ddof=1)
    size, square = mean.sum(0), (mean**2).sum(0)
    share = lambda part, whole: np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0)
    # Periods vary together by the level alone.
    together = used.sum(1).var(0, ddof=1) - variance.sum(0)
    lasting = np.maximum(share(together, size**2 - square), 0)
    # What is left for the periods once the level has its part; a count varies by its mean as well.
    rest = np.maximum(variance.sum(0) - lasting * square, 0)
    counted = whole & (rest >= size)
    spread = share(np.where(counted, rest - size, rest), square * (1 + lasting))
    law = np.where(counted, LAWS.index("negative_binomial"), LAWS.index("gamma"))
    return every, np.broadcast_to(spread, every.shape), law, lasting
