"""The registry of policies: a file of this folder is a policy."""

from typing import Protocol, runtime_checkable

from meio_jax.model.correction import Correction
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy, AbstractReplenishment, StartingPoint
from meio_jax.policy.neural import Neural, NeuralFamily, check_network
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


def policy_family(name: str, protection: bool = False, correction: Correction | None = None) -> PolicyFamily:
    """The policy of that registry name, with protection levels around it if asked.

    Args:
        name: Name of a file of `meio_jax/policy`, as `policy.name` of a configuration.
        protection: Whether stock that slower speeds may not touch is decided as well.
        correction: The network of the policy `neural`.

    Raises:
        KeyError: If no policy has that name; the message lists those that exist.

    Example:
        >>> policy_family("base_stock").__name__
        'BaseStock'
    """
    return family_of(choose(POLICIES, name, "Policy"), protection, correction)


def family_of(
    member: type[AbstractReplenishment], protection: bool = False, correction: Correction | None = None
) -> PolicyFamily:
    """The same of a class.

    Raises:
        ValueError: If a network is given to a policy that has none, or takes other inputs than the policy has.
    """
    if correction is not None and member is not Neural:
        raise ValueError(f"{member.__name__} has no network; expected the policy `neural`")
    family = member if correction is None else NeuralFamily(check_network(correction))
    return ProtectedFamily(family) if protection else family
