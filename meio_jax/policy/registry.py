"""The registry of policies: every `AbstractPolicy` module of this folder, found by listing it.

Adding a policy means adding one file with one final subclass; its registry name is the file's name.
"""

import importlib
import pkgutil
from typing import Protocol

from meio_jax import policy as _package
from meio_jax.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy, StartingPoint
from meio_jax.policy.protected import ProtectedFamily

_NOT_FAMILIES = {"base", "registry", "protected"}


class PolicyFamily(Protocol):
    """Anything that can build a policy at its starting point: a policy class, or a wrapper of one."""

    def start(self, network: Network, block: ItemBlock, at: StartingPoint) -> AbstractPolicy: ...

    def scales(self, network: Network, block: ItemBlock, at: StartingPoint) -> AbstractPolicy: ...


def _discover() -> dict[str, type[AbstractPolicy]]:
    found = {}
    for module_info in pkgutil.iter_modules(_package.__path__):
        if module_info.name in _NOT_FAMILIES:
            continue
        module = importlib.import_module(f"{_package.__name__}.{module_info.name}")
        own = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, AbstractPolicy) and value.__module__ == module.__name__
        ]
        found[module_info.name] = own[0]
    return found


POLICIES: dict[str, type[AbstractPolicy]] = _discover()


def policy_family(name: str, protection: bool = False) -> PolicyFamily:
    """The policy of that registry name, with protection levels around it if asked.

    Raises:
        KeyError: If no policy has that name; the message lists those that exist.
    """
    if name not in POLICIES:
        raise KeyError(f"Policy `{name}` does not exist; choose one of {', '.join(sorted(POLICIES))}.")
    return ProtectedFamily(POLICIES[name]) if protection else POLICIES[name]
