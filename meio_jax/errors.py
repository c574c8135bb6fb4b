"""Errors that a user can mend: problems of the input data, told one line each."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN = 20
"""How many problems the message of an `InputError` lists before it only counts."""


class Note(str):
    """A found `value` in words, such as "no rows": shown without quotes, unlike text of the input."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input.

    `file` is the file (or table) it is in, `where` the row, line or key, `column` the column or setting
    ("" where none applies), `value` what was found (None: nothing there; "" : no value applies),
    `expected` what should be there and `remedy` how to mend it.
    """

    file: str
    where: str
    column: str
    value: object
    expected: str
    remedy: str

    def __str__(self) -> str:
        place = self.file
        if self.where:
            place += f", {self.where}"
        if self.column:
            place += f", column {self.column}"
        if self.value is None:
            found = "found nothing; "
        elif isinstance(self.value, str) and self.value == "":
            found = ""
        else:
            found = f"found {_show(self.value)}; "
        text = f"{place}: {found}expected {self.expected}."
        return visible(f"{text} To mend: {self.remedy}." if self.remedy else text)


@dataclass(frozen=True)
class InputWarning:
    """Something in the input that can be used, but is probably not what was meant.

    `kind` is a short fixed name ("history ended"), by which programs tell warnings apart; `count` is how often it
    was met, `what` says what was met, `example` is the first place, and `remedy` what to do about it.
    """

    kind: str
    count: int
    what: str
    example: str
    remedy: str

    def __str__(self) -> str:
        first = f" {'First' if self.count > 1 else 'Found'}: {self.example}." if self.example else ""
        remedy = f" To mend: {self.remedy}." if self.remedy else ""
        return visible(f"{self.what} ({self.kind}: {self.count}).{first}{remedy}")

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    def as_problem(self) -> Problem:
        """The same as a problem, for `--strict`."""
        found = Note(f"{self.what} ({self.count})" + (f"; first: {self.example}" if self.example else ""))
        return Problem("warning", self.kind, "", found, "none, as --strict is given", self.remedy)


def merged(warnings: Iterable[InputWarning]) -> tuple[InputWarning, ...]:
    """Warnings of the parts of a catalog, one a kind: what is found in every part alike is met once."""
    found: dict[tuple[str, str], InputWarning] = {}
    for one in dict.fromkeys(warnings):
        known = found.get((one.kind, one.what))
        found[one.kind, one.what] = dataclasses.replace(known, count=known.count + one.count) if known else one
    return tuple(found.values())


def visible(text: str) -> str:
    """The text with escapes in place of what a terminal would act on, or not show: control and format characters."""
    return "".join(_escaped(char) if unicodedata.category(char) in _UNSEEN else char for char in text)


_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _show(value: object) -> str:
    try:
        text = repr(value) if isinstance(value, str) and not isinstance(value, Note) else str(value)
    except ValueError:
        return "a number of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:117] + "..."


class InputError(Exception):
    """The input cannot be used; `problems` says why, all of it at once.

    `omitted` counts further problems of the same kinds for which no `Problem` was built (a column of a
    million rows may be wrong in every row). The command line prints the text and ends with status 2.
    """

    def __init__(self, problems: Sequence[Problem], omitted: int = 0):
        self.problems: list[Problem] = list(problems)
        self.omitted = omitted
        super().__init__(str(self))

    @property
    def count(self) -> int:
        """Number of problems found, including those for which no `Problem` was built."""
        return len(self.problems) + self.omitted

    def __str__(self) -> str:
        noun = "problem" if self.count == 1 else "problems"
        lines = [f"{self.count} {noun} in the input:"]
        lines += [f"  {problem}" for problem in self.problems[:SHOWN]]
        more = self.count - min(SHOWN, len(self.problems))
        if more:
            lines.append(f"  ... and {more} more")
        return "\n".join(lines)

    @classmethod
    def from_warnings(cls, warnings: Sequence[InputWarning]) -> InputError:
        """The same as an error, for those who want warnings to stop them (`--strict`)."""
        return cls([one.as_problem() for one in warnings])

    def __reduce__(self):
        return (type(self), (self.problems, self.omitted))


class Refusal(InputError):
    """One thing that a command does not do, as things are; told in one line."""

    def __init__(self, problem: Problem):
        super().__init__([problem])

    def __str__(self) -> str:
        return str(self.problems[0])

    def __reduce__(self):
        return (type(self), (self.problems[0],))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether compiled code found no room, on an accelerator or in the machine; the runtime has no class for that."""
    return isinstance(error, RuntimeError) and str(error).startswith("RESOURCE_EXHAUSTED")


def first_line(error: BaseException) -> str:
    """What an error says, without the hints that follow; the name of its class where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
