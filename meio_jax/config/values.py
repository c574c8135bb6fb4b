"""What a configuration names, as the objects that it stands for; from Python these objects are given as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meio_jax.config.settings import Config, DualPart, ObjectivePart, PolicyPart
from meio_jax.dual import DUAL_METHODS, AbstractDualMethod
from meio_jax.model.correction import Correction
from meio_jax.model.total_risk import TotalRisk
from meio_jax.objective import OBJECTIVES, AbstractObjective
from meio_jax.policy import POLICIES, AbstractReplenishment, PolicyFamily
from meio_jax.policy.registry import family_of, policy_family


@dataclass(frozen=True)
class PolicyChoice:
    """A policy whose parameters a plan decides.

    Attributes:
        member: The class of the policy.
        protection: Decide protection levels as well.
        stationary: One value of each parameter for all buckets; None: as the instance says.
        correction: The network of the policy `neural`; None: it has none, and orders like the projected level.
    """

    member: type[AbstractReplenishment]
    protection: bool = False
    stationary: bool | None = None
    correction: Correction | None = None

    @property
    def family(self) -> PolicyFamily:
        """What builds the policy at its starting point."""
        return family_of(self.member, self.protection, self.correction)


def family_of_part(policy: PolicyPart) -> PolicyFamily:
    """What builds the policy that a configuration names."""
    return policy_family(policy.name, policy.protection, policy.correction)


@dataclass(frozen=True)
class Values:
    """Policy, objective and dual method of a plan."""

    policy: PolicyChoice
    objective: AbstractObjective
    dual: AbstractDualMethod

    @classmethod
    def of(cls, config: Config) -> Values:
        """What the names of a configuration stand for."""
        policy = config.policy
        return cls(
            PolicyChoice(POLICIES[policy.name], policy.protection, policy.stationary, policy.correction),
            OBJECTIVES[config.objective.name](**config.objective.options),
            DUAL_METHODS[config.dual.name](**config.dual.options),
        )

    def recorded(self, config: Config) -> Config:
        """The configuration that says the same; a class that is in no registry is recorded by its own name."""
        policy = PolicyPart.model_construct(
            name=_name(POLICIES, self.policy.member),
            protection=self.policy.protection,
            stationary=self.policy.stationary,
            correction=self.policy.correction,
        )
        objective = ObjectivePart.model_construct(
            name=_name(OBJECTIVES, type(self.objective)), options=_options(self.objective)
        )
        dual = DualPart.model_construct(name=_name(DUAL_METHODS, type(self.dual)), options=_options(self.dual))
        return config.model_copy(update={"policy": policy, "objective": objective, "dual": dual})


def total_risk_of(config: Config) -> TotalRisk | None:
    """The risk of the total cost that a configuration asks for."""
    risk = config.risk
    if risk.measure == "none" or risk.weight == 0:
        return None
    return TotalRisk(risk.measure, risk.level, risk.aversion, risk.weight)


def _name(family: Mapping[str, type], member: type) -> str:
    return next((name for name, known in family.items() if known is member), member.__name__)


def _options(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
