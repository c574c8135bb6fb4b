"""Replenishment policies and their registry."""

from meio_jax.policy.base import AbstractPolicy as AbstractPolicy
from meio_jax.policy.base import AbstractReplenishment as AbstractReplenishment
from meio_jax.policy.base import Arrival as Arrival
from meio_jax.policy.base import StartingPoint as StartingPoint
from meio_jax.policy.base import View as View
from meio_jax.policy.registry import POLICIES as POLICIES
from meio_jax.policy.registry import PolicyFamily as PolicyFamily
from meio_jax.policy.registry import policy_family as policy_family
