"""The arithmetic of capacities against cases that are counted by hand, on the host and on a device."""

import jax.numpy as jnp
import numpy as np
import pytest

from meio_jax.model.capacity import bound_of, charge, excess_over, gap, net_use, relative, size_of, used_at

# A ceiling of 10 of which 12 are used, one of nothing of which 3 are used, a floor of 90 % of 50 units of which 40 are
# served, and a ceiling that does not bind.
FLOOR = np.asarray([False, False, True, False])
CAPACITY = np.asarray([10.0, 0.0, 0.9, np.inf])
USED = np.asarray([12.0, 3.0, 40.0, 7.0])
WANTED = np.asarray([0.0, 0.0, 50.0, 0.0])
USUAL = np.asarray([10.0, 6.0, 45.0, 0.0])

LIBRARIES = [np.asarray, jnp.asarray]


@pytest.mark.parametrize("library", LIBRARIES)
def test_excess_and_bound(library) -> None:
    case = [library(one) for one in (FLOOR, CAPACITY, USED, WANTED)]
    np.testing.assert_allclose(excess_over(*case), [2, 3, 5, -np.inf])
    np.testing.assert_allclose(net_use(*case), [12, 3, 5, 7])
    np.testing.assert_allclose(bound_of(case[0], case[1], case[3]), [10, 0, 45, np.inf])
    assert isinstance(excess_over(*case), type(case[2]))


@pytest.mark.parametrize("library", LIBRARIES)
def test_shares_of_a_capacity_and_of_the_usual_use(library) -> None:
    excess, bound, usual = (library(np.asarray(one)) for one in ([2.0, 3.0, 5.0], [10.0, 0.0, 45.0], USUAL[:3]))
    np.testing.assert_allclose(relative(excess, bound, usual), [0.2, 0.5, 1 / 9], rtol=1e-6)
    np.testing.assert_allclose(size_of(bound, 0 * usual), [10, 1, 45])


@pytest.mark.parametrize("library", LIBRARIES)
def test_use_at_an_excess_is_the_use_that_gave_it(library) -> None:
    floor, capacity, used, wanted = (library(one[:3]) for one in (FLOOR, CAPACITY, USED, WANTED))
    excess = excess_over(floor, capacity, used, wanted)
    np.testing.assert_allclose(used_at(floor, bound_of(floor, capacity, wanted), excess), used)


@pytest.mark.parametrize("library", LIBRARIES)
def test_charges_of_excesses_and_of_what_is_not_used(library) -> None:
    prices, excess = library(np.asarray([3.0, 0.0, 2.0])), library(np.asarray([2.0, 3.0, -5.0]))
    charged = charge(prices, excess)
    assert float(charged) == pytest.approx(-4)
    assert float(gap(charged, library(np.asarray(80.0)))) == pytest.approx(0.05)
    assert float(gap(-4.0, 80.0)) == pytest.approx(0.05)
    assert float(gap(0.0, 0.0)) == 0
