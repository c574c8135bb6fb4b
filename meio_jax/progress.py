"""Progress reporting as an interface; silent by default."""

import abc
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """Figures of one step: money, relative violation and gap, and seconds since the start.

    `scenarios` is how many the step simulated of each item, and `checked` how many the check before it did, if any.
    """

    step: int
    max_steps: int
    seconds: float
    cost: float
    lagrangian: float
    violation: float
    gap: float
    change: float
    price_norm: float = 0.0
    by_kind: dict[str, float] = field(default_factory=dict)
    scenarios: int = 0
    checked: int = 0


class Preempted(Exception):
    """Told to end: what was done is saved, and the program ends without writing a plan."""


class ProcessLost(Exception):
    """Another process of the run is gone; what was saved can be continued."""


class AbstractProgress(abc.ABC):
    """Receives every step of a solve. `should_stop` lets an interrupt end the solve between steps."""

    @abc.abstractmethod
    def update(self, step: Step) -> None:
        """Called after each step."""

    def stage(self, name: str) -> None:
        """Called when something other than a step begins, such as the holdout evaluation."""
        del name

    def warning(self, text: str) -> None:
        """Called with what the user should know about the input, before the search, or about the search."""
        del text

    def should_stop(self) -> bool:
        """True once the user asked to stop."""
        return False

    def preempted(self) -> bool:
        """True once the machine is being taken away: there is time to save the state, not to write a plan."""
        return False

    def check(self) -> None:
        """Called often where there is no step, such as between scenarios of the holdout.

        Raises:
            Preempted: If the program was told to end at once.
        """
        return None

    def begun(self, run: Path, how: str | None = None) -> None:
        """Called once there is something in a folder that can be continued: by `meio resume RUN`, or as `how` says."""
        del run, how

    def close(self) -> None:
        """Called once when the search ends."""
        return None


class Silent(AbstractProgress):
    """Shows nothing."""

    def update(self, step: Step) -> None:
        del step
