"""The arithmetic of a capacity, written once, for arrays of the host and of devices.

A ceiling is kept where what is used is at most the capacity; a floor of service where what is served is at least its
share of the demand it refers to. An excess is positive where either is missed.
"""

from typing import Any

from meio_jax.model.arrays import library

# What pays less than this in all pays nothing: shares of it would mean nothing.
_LEAST = 1e-12


def net_use(floor: Any, capacity: Any, used: Any, wanted: Any) -> Any:
    """What counts against a capacity: what is used of it, or of a floor what is missing to it.

    Args:
        floor: Which capacities are floors.
        capacity: Their size; of a floor a share of what is wanted.
        used: What is used of them, or served.
        wanted: Demand that floors refer to.
    """
    xp = library(used, wanted)
    return xp.where(xp.asarray(floor), bound_of(floor, capacity, wanted) - used, used)


def excess_over(floor: Any, capacity: Any, used: Any, wanted: Any) -> Any:
    """What is used above the capacity, or missing to the floor; arguments as of `net_use`."""
    xp = library(used, wanted)
    return net_use(floor, capacity, used, wanted) - xp.where(xp.asarray(floor), 0, xp.asarray(capacity))


def bound_of(floor: Any, capacity: Any, wanted: Any) -> Any:
    """The capacity in the unit of its use: of a floor its share of what is wanted."""
    xp = library(wanted)
    floor, capacity = xp.asarray(floor), xp.asarray(capacity)
    # Capacities that do not bind are infinite, and no demand refers to them.
    return xp.where(floor, xp.where(floor, capacity, 0) * wanted, capacity)


def used_at(floor: Any, bound: Any, excess: Any) -> Any:
    """What is used of a capacity, or served of a floor, at an excess."""
    xp = library(bound, excess)
    return xp.where(xp.asarray(floor), bound - excess, bound + excess)


def size_of(bound: Any, usual: Any) -> Any:
    """What an excess is measured against: the capacity, or where that is nothing the use that is usual there."""
    xp = library(bound, usual)
    return xp.where(bound > 0, bound, xp.where(usual > 0, usual, 1))


def relative(excess: Any, bound: Any, usual: Any) -> Any:
    """Excess as a share of the capacity, or of the usual use of a capacity of nothing."""
    return excess / size_of(bound, usual)


def charge(prices: Any, excess: Any) -> Any:
    """Money that prices charge for all excesses; what is not used of a priced capacity counts against it."""
    return library(prices, excess).sum(prices * excess)


def gap(charged: Any, gross: Any) -> Any:
    """Coupling gap: the money that prices charge in the end, as a share of what is paid in all."""
    xp = library(charged, gross)
    return xp.abs(charged) / xp.maximum(gross, _LEAST)
