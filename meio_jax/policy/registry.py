"""The registry of policies: a file of this folder is a policy."""

from typing import Protocol, runtime_checkable

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy, AbstractReplenishment, StartingPoint
from meio_jax.policy.protected import ProtectedFamily
from meio_jax.registry import choose, discover

POLICIES: dict[str, type[AbstractReplenishment]] = discover(
    "meio_jax.policy", AbstractReplenishment, skip=frozenset({"base", "registry", "protected"})
)


@runtime_checkable
class PolicyFamily(Protocol):
    """Anything that can build a policy at its starting point: a policy class, or a wrapper of one."""

    def start(self, network: Network, block: ItemBlock, at: StartingPoint) -> AbstractPolicy: ...

    def scales(self, network: Network, block: ItemBlock, at: StartingPoint) -> AbstractPolicy: ...


def policy_family(name: str, protection: bool = False) -> PolicyFamily:
    """The policy of that registry name, with protection levels around it if asked.

    Args:
        name: Name of a file of `meio_jax/policy`, as `policy.name` of a configuration.
        protection: Whether stock that slower speeds may not touch is decided as well.

    Raises:
        KeyError: If no policy has that name; the message lists those that exist.

    Example:
        >>> policy_family("base_stock").__name__
        'BaseStock'
    """
    family = choose(POLICIES, name, "Policy")
    return ProtectedFamily(family) if protection else family
