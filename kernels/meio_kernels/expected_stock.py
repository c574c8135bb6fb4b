"""Mean and variance of stock after a period's demand, where stock that runs out loses demand, or lets it wait."""

import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

# Below this variance (units squared) stock is certain: the square root has no derivative at zero.
_CERTAIN = 1e-6
# Beyond so many standard deviations from empty, stock never, or always, runs out.
_FAR = 8.0
_ROOT_TWO_PI = 2.5066282746310002


def after_demand(
    mean: Float[Array, "*lead batch"],
    variance: Float[Array, "*lead batch"],
    demand: Float[Array, "*lead batch"],
    demand_variance: Float[Array, "*lead batch"],
    lost: Float[Array, "*lead batch"],
) -> tuple[Float[Array, "*lead batch"], Float[Array, "*lead batch"]]:
    """Moments of what a period leaves: stock less demand, and of what is short all but the part that is lost.

    Stock less demand is taken to be normal with the moments of the two; so what is left has the moments of a normal
    variable that is clipped at zero (`lost` 1), of the variable itself (`lost` 0: all waits, stock net of backlog), or
    of a mixture in between.

    Args:
        mean: Mean stock before the demand, in units.
        variance: Its variance, units squared.
        demand: Mean demand of the period, in units.
        demand_variance: Its variance, independent of stock.
        lost: Part of what is short that is lost, 0 to 1.

    Returns:
        Mean and variance of stock after the demand.
    """
    spread = jnp.sqrt(jnp.maximum(variance + demand_variance, _CERTAIN))
    left = (mean - demand) / spread
    near = jnp.clip(left, -_FAR, _FAR)
    enough, density = ndtr(near), jnp.exp(-0.5 * near * near) / _ROOT_TWO_PI
    # Of the standardised variable: the mean of its positive part, and the mean of that part's square.
    over = near * enough + density
    square = (near * near + 1) * enough + near * density
    waits = 1 - lost
    whole = lost * over + waits * near
    second = square + waits * waits * (near * near + 1 - square)
    # What the clip took away is certain: far above empty it is all kept, far below what waits of it.
    beyond = left - near
    after = spread * (whole + jnp.where(beyond > 0, beyond, waits * beyond))
    return after, spread * spread * jnp.maximum(second - whole * whole, 0)
