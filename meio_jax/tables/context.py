"""What a check across rows or tables is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from meio_jax.tables.findings import Findings, View
from meio_jax.tables.settings import InstanceSettings


class Scope(Enum):
    """What is there to check: the whole instance, the network without its items, or some items on a checked
    network.
    """

    ALL = "all"
    NETWORK = "network"
    BLOCK = "block"


@dataclass(frozen=True)
class Context:
    """What a check sees.

    `views` holds no table whose columns do not fit: a check asks with `get` and passes where a table is
    missing. `settings` is None where `instance.yaml` could not be read.
    """

    views: Mapping[str, View]
    settings: InstanceSettings | None
    scope: Scope
    findings: Findings

    def get(self, *names: str) -> tuple[View, ...] | None:
        """The tables called `names`, or None unless all are there to be checked."""
        if any(name not in self.views for name in names):
            return None
        return tuple(self.views[name] for name in names)
