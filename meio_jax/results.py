"""Outcomes of a solve, and what each of them asks of the user."""

import enum


class Result(enum.Enum):
    """How a solve ended. The value is the exit status of the command line."""

    CONVERGED = 0
    MAX_STEPS = 3
    INFEASIBLE = 4
    INTERRUPTED = 5
    NUMERICAL_FAILURE = 6

    @property
    def message(self) -> str:
        """Cause and remedy, in one sentence each."""
        return _MESSAGES[self]


_MESSAGES = {
    Result.CONVERGED: "Converged: capacities and coupling gap are within tolerance on holdout scenarios.",
    Result.MAX_STEPS: ("Stopped before every tolerance was met on holdout scenarios. The plan is the best seen."),
    Result.INFEASIBLE: (
        "Some capacity cannot be met by any plan. The plan is the one of least violation; raise the capacities "
        "that are named or lower the demand, stock or service floors that need them."
    ),
    Result.INTERRUPTED: "Interrupted. The best plan so far is written; a warm start from it continues the solve.",
    Result.NUMERICAL_FAILURE: (
        "The cost became infinite or not a number. Look for extreme values in the instance (see `meio validate`), "
        "or solve with `precision: float64` or a smaller `solve.learning_rate`."
    ),
}
