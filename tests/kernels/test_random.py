"""The counter-based generator and the variables made from it, against published and closed-form values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meio_kernels import draws
from meio_kernels.draws import cumulative_share
from meio_kernels.random import as_words, derive, normals, threefry, uniforms
from scipy import special, stats

poisson, unit_gamma, cubed_gamma, polynomial_gamma, spread_units = map(
    jax.jit, (draws.poisson, draws.unit_gamma, draws.cubed_gamma, draws.polynomial_gamma, draws.spread_units)
)

# Random123, examples/kat_vectors: rounds, counter, key, result.
KNOWN = [
    (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    (13, (0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0xFD36D048, 0x2D17272C)),
    (13, (0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xBA3E4725, 0xF27D669E)),
    (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    (20, (0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    (20, (0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]
GRID = ((np.arange(1 << 18) + 0.5) / (1 << 18)).astype(np.float32)


def words(values: tuple[int, int]) -> tuple:
    return tuple(jnp.uint32(value) for value in values)


def keys(count: int) -> tuple:
    """Keys of consecutive items, the hardest case for a weak generator."""
    return derive(as_words(5), jnp.arange(count, dtype=jnp.uint32), jnp.uint32(0))


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN)
def test_threefry_known_answers(rounds: int, counter: tuple, key: tuple, expected: tuple) -> None:
    assert tuple(int(word) for word in threefry(words(key), words(counter), rounds)) == expected


def test_uniforms_are_open_uniform_and_independent() -> None:
    drawn = np.asarray(uniforms(keys(2_000), 50, jnp.uint32(1)), np.float64)
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-4
    other = np.asarray(uniforms(keys(2_000), 50, jnp.uint32(2)), np.float64)
    both = np.concatenate([drawn[:20], other[:20]])
    assert np.abs(np.corrcoef(both) - np.eye(40)).max() < 5.5 / np.sqrt(2_000)
    assert np.abs(np.corrcoef(drawn[:, :50].T) - np.eye(50)).max() < 6 / np.sqrt(50)


def test_rows_do_not_depend_on_how_many_there_are() -> None:
    few, many = (np.asarray(uniforms(keys(7), count, jnp.uint32(1))) for count in (3, 8))
    np.testing.assert_array_equal(few, many[:3])
    part = np.asarray(uniforms(keys(7), 3, jnp.uint32(1), part=1))
    assert not np.isin(part, many).any()


def test_keys_of_seeds_beyond_32_bits_differ() -> None:
    assert [int(word) for word in as_words(2**40 + 3)] == [3, 256]


def test_normals_are_the_inverse_distribution() -> None:
    ends = np.asarray([2.0**-24, 1 - 2.0**-24], np.float32)
    uniform = np.r_[GRID, ends]
    expected = special.ndtri(uniform.astype(np.float64))
    np.testing.assert_allclose(np.asarray(normals(jnp.asarray(uniform))), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 1e-4, 0.3, 1.0, 4.0, 7.99])
def test_small_poisson_is_exact(mean: float) -> None:
    found = np.asarray(poisson(jnp.asarray(GRID), jnp.full(GRID.shape, np.float32(mean))))
    exact = stats.poisson.ppf(GRID.astype(np.float64), mean)
    # Equal but for uniforms within rounding of a step of the distribution function.
    assert (found != exact).mean() < 1e-5
    top = poisson(jnp.asarray([1 - 2.0**-24]), jnp.asarray([mean]))
    assert float(top[0]) <= stats.poisson.isf(1e-9, mean) + 2


@pytest.mark.parametrize("mean", [8.0, 20.0, 1000.0, 1e6])
def test_large_poisson_has_its_moments(mean: float) -> None:
    found = np.asarray(poisson(jnp.asarray(GRID), jnp.full(GRID.shape, np.float32(mean))), np.float64)
    assert found.mean() == pytest.approx(mean, rel=1e-4)
    assert found.var() == pytest.approx(mean, rel=2e-3)
    assert stats.skew(found) == pytest.approx(mean**-0.5, rel=0.03, abs=2e-3)
    assert (np.diff(found) >= 0).all()
    few = slice(None, None, 64)
    exact = stats.poisson.ppf(GRID[few].astype(np.float64), mean)
    assert np.abs(found[few] - exact).max() <= 1 + 1e-6 * mean


@pytest.mark.parametrize("variance", [0.01, 0.5])
def test_cubed_gamma_has_its_moments(variance: float) -> None:
    found = np.asarray(cubed_gamma(jnp.asarray(GRID), jnp.full(GRID.shape, np.float32(variance))), np.float64)
    assert found.mean() == pytest.approx(1, rel=1e-3)
    assert found.var() == pytest.approx(variance, rel=2e-3)


@pytest.mark.parametrize("variance", [0.01, 1 / 3, 0.5])
def test_polynomial_gamma_has_the_excess_of_the_gamma_law(variance: float) -> None:
    found = np.asarray(polynomial_gamma(jnp.asarray(GRID), jnp.full(GRID.shape, np.float32(variance))), np.float64)
    law = stats.gamma(1 / variance, scale=variance)
    assert found.mean() == pytest.approx(1, rel=1e-4)
    assert found.var() == pytest.approx(variance, rel=3e-4)
    for fractile in (0.2, 0.8, 0.95):
        level = law.ppf(fractile)
        exact = law.expect(lambda x, level=level: x - level, lb=level)
        # The grid of uniforms itself is good to 1e-4 of an excess.
        assert np.maximum(found - level, 0).mean() == pytest.approx(exact, rel=1e-3)


def four(count: int) -> list:
    return list(uniforms(keys(count), 4, jnp.uint32(9)))


@pytest.mark.parametrize("variance", [0.04, 0.5, 1.0, 3.0, 8.0])
def test_unit_gamma_follows_the_gamma_law(variance: float) -> None:
    count = 200_000
    first, second, third, _ = four(count)
    found = np.asarray(unit_gamma(first, second, third, jnp.full(count, np.float32(variance))), np.float64)
    law = stats.gamma(1 / variance, scale=variance)
    _, _, _, excess = (float(value) for value in law.stats("mvsk"))
    assert abs(found.mean() - 1) < 5 * np.sqrt(variance / count) + 1e-3
    assert abs(found.var() / variance - 1) < 5 * np.sqrt((excess + 2) / count) + 2e-3
    assert stats.kstest(found, law.cdf).statistic < 2 / np.sqrt(count) + 5e-4


def test_no_variance_is_exactly_one() -> None:
    first, second, third, _ = four(10)
    np.testing.assert_array_equal(unit_gamma(first, second, third, jnp.zeros(10)), 1)


def test_poisson_of_an_exponential_mean_is_geometric() -> None:
    count = 200_000
    first, second, third, fourth = four(count)
    found = np.asarray(poisson(fourth, 3 * unit_gamma(first, second, third, jnp.ones(count))))
    observed = np.bincount(found.astype(int), minlength=30)[:30] / count
    np.testing.assert_allclose(observed, stats.geom.pmf(np.arange(1, 31), 0.25), atol=5 * 0.5 / np.sqrt(count))


def test_spread_units_by_hand() -> None:
    share = jnp.asarray([[0.0], [0.25], [0.5], [0.0], [0.25], [0.0]])
    uniform = jnp.asarray([[0.1], [0.3], [0.7], [0.9999], [0.2]])
    ends = cumulative_share(share)

    def spread(total: float, whole: bool) -> list[float]:
        out = spread_units(jnp.asarray([float(total)]), jnp.asarray([whole]), ends, uniform)
        return np.asarray(out)[:, 0].tolist()

    assert spread(0, True) == [0, 0, 0, 0, 0, 0]
    assert spread(3, True) == [0, 1, 2, 0, 0, 0]
    assert spread(4, True) == [0, 1, 2, 0, 1, 0]
    # Four draws for nine units: parcels of three, of which three are full.
    assert spread(9, True) == [0, 3, 6, 0, 0, 0]
    # Ten: three parcels and a remainder of one where the last uniform falls.
    assert spread(10, True) == [0, 4, 6, 0, 0, 0]
    assert spread(2.5, False) == [0, 1.5, 1, 0, 0, 0]
    # Sixteen units in four draws: parcels of two, and eight units by share.
    np.testing.assert_allclose(spread(16, False), [0, 2 + 2, 4 + 4, 0, 2 + 2, 0], rtol=1e-5)


def test_cumulative_shares_are_level_where_nothing_is_added() -> None:
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.full(500, 0.05), 20).T * (rng.random((500, 20)) < 0.5)
    share = (share / share.sum(0)).astype(np.float32)
    ends = np.asarray(cumulative_share(jnp.asarray(share)))
    steps = np.diff(ends, axis=0, prepend=0)
    assert (steps >= 0).all()
    assert (steps[share == 0] == 0).all()
    np.testing.assert_array_equal(ends, np.round(ends))
    np.testing.assert_allclose(steps / ends[-1], share, atol=2e-7)
