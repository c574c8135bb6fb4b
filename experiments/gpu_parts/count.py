"""Kernel launches and memory traffic of a compiled GPU program, from its scheduled text (`compiled.as_text()`).

A launch is an instruction of the entry, or of the body of a loop, that runs something on the device: a fusion, a
library call, a copy. What only names memory (tuples, parameters, bitcasts) is none. Loop bodies count as often as their
known number of trips says; of a conditional the branch with most launches counts.

The traffic of a launch is its operands and results. Of an operand that is only read in slices the slices count, and of
a result that is updated in place the update: a loop over days passes the arrays of all days to a kernel that reads one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# Instructions that run nothing, or (the ends of asynchronous pairs) were counted where they began.
_NO_LAUNCH = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "add-dependency", "opt-barrier",
    "optimization-barrier", "partition-id", "replica-id", "domain",
}  # fmt: skip
_BITS = {"pred": 8, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([0-9,]*)\]")
_SLICES = {"dynamic-slice", "slice", "gather"}


@dataclass(frozen=True)
class Instruction:
    """One line of a computation: `shape` as text, `bytes` of its result."""

    name: str
    operation: str
    shape: str
    operands: tuple[str, ...]
    rest: str
    root: bool

    @property
    def bytes(self) -> int:
        return bytes_of(self.shape)

    def called(self, what: str) -> str:
        """Name of a computation that the instruction calls (`calls`, `body`, `to_apply`)."""
        found = re.search(rf"\b{what}=%?([\w.\-]+)", self.rest)
        if found is None:
            raise ValueError(f"instruction {self.name}: no computation named {what}= in {self.rest[:200]!r}")
        return found.group(1)


@dataclass
class Loop:
    """A loop, or (name `entry`) the whole program; launches and bytes are of one trip, loops inside it left out.

    `trips` is None where the compiler does not know it: such a loop counts once.
    """

    name: str
    trips: int | None = 1
    own_launches: int = 0
    own_bytes: int = 0
    loops: list[Loop] = field(default_factory=list)

    @property
    def times(self) -> int:
        return 1 if self.trips is None else self.trips

    @property
    def launches(self) -> int:
        """Launches of all trips, with those of the loops inside."""
        return self.times * (self.own_launches + sum(loop.launches for loop in self.loops))

    @property
    def bytes(self) -> int:
        """Bytes moved in all trips, with those of the loops inside."""
        return self.times * (self.own_bytes + sum(loop.bytes for loop in self.loops))

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Loop]]:
        """This loop and those inside it, with their depth."""
        yield depth, self
        for loop in self.loops:
            yield from loop.walk(depth + 1)


def bytes_of(shape: str) -> int:
    """Bytes of a shape in text form, of a tuple those of its members."""
    total = 0
    for kind, dims in _ARRAY.findall(shape):
        digits = re.search(r"\d+", kind)
        bits = _BITS[kind] if kind in _BITS else int(digits.group()) if digits else 8
        total += math.ceil(bits / 8 * math.prod(int(size) for size in dims.split(",") if size))
    return total


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    raise ValueError(f"a bracket does not close in {text[:200]!r}")


def _instruction(line: str) -> Instruction | None:
    """A line of a computation; None where it is something else."""
    head = re.match(r"(ROOT )?%?([\w.\-]+) = ", line)
    if head is None:
        return None
    text = line[head.end() :]
    # A tuple's shape is in brackets, another ends at the next space.
    end = _closing(text, 0) + 1 if text.startswith("(") else text.index(" ")
    shape, text = text[:end], text[end:].lstrip()
    call = re.match(r"([\w\-]+)\(", text)
    if call is None:
        return None
    close = _closing(text, call.end() - 1)
    operands = tuple(re.findall(r"%([\w.\-]+)", text[call.end() : close]))
    return Instruction(head.group(2), call.group(1), shape, operands, text[call.end() :], head.group(1) is not None)


def computations(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """The instructions of every computation by name, and the name of the entry.

    Raises:
        ValueError: The text is not that of a compiled program.
    """
    found: dict[str, dict[str, Instruction]] = {}
    current: dict[str, Instruction] | None = None
    entry = None
    for raw in text.splitlines():
        line = re.sub(r"/\*.*?\*/", "", raw).strip()
        head = re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$", line)
        if head is not None:
            current = found[head.group(2)] = {}
            entry = head.group(2) if head.group(1) else entry
        elif line == "}":
            current = None
        elif current is not None:
            instruction = _instruction(line)
            if instruction is not None:
                current[instruction.name] = instruction
    if entry is None:
        raise ValueError("no entry computation: give the text of a compiled program (`compiled.as_text()`)")
    return found, entry


def count(text: str) -> Loop:
    """Launches and bytes of a compiled program, loop by loop."""
    found, entry = computations(text)
    whole = Loop("entry")
    _add(found, entry, whole)
    return whole


def _add(found: dict[str, dict[str, Instruction]], name: str, into: Loop) -> None:
    """Add the launches of a computation to a loop, and its loops."""
    inside = found[name]
    for one in inside.values():
        if one.operation == "while":
            loop = Loop(one.called("body"), _trips(one))
            _add(found, loop.name, loop)
            into.loops.append(loop)
        elif one.operation == "call":
            _add(found, one.called("to_apply"), into)
        elif one.operation == "conditional":
            branches = [Loop(branch) for branch in _branches(one)]
            for branch in branches:
                _add(found, branch.name, branch)
            most = max(branches, key=lambda branch: branch.launches)
            into.own_launches += most.own_launches
            into.own_bytes += most.own_bytes
            into.loops += most.loops
        elif one.operation not in _NO_LAUNCH and not one.operation.endswith(("-done", "-update")):
            into.own_launches += 1
            into.own_bytes += _traffic(found, inside, one)


def _trips(loop: Instruction) -> int | None:
    known = re.search(r"known_trip_count[^0-9]*(\d+)", loop.rest)
    return int(known.group(1)) if known else None


def _branches(one: Instruction) -> list[str]:
    several = re.search(r"branch_computations=\{([^}]*)\}", one.rest)
    if several is not None:
        return re.findall(r"%?([\w.\-]+)", several.group(1))
    return [one.called("true_computation"), one.called("false_computation")]


def _traffic(found: dict[str, dict[str, Instruction]], inside: dict[str, Instruction], one: Instruction) -> int:
    """Bytes that a launch reads and writes."""
    if one.operation == "fusion":
        fused = found[one.called("calls")]
        read = sum(_read(fused, parameter) for parameter in fused.values() if parameter.operation == "parameter")
        root = next(inner for inner in fused.values() if inner.root)
        return read + _written(fused, root)
    read = sum(_part_read(inside, one, place, inside[name].bytes) for place, name in enumerate(one.operands))
    return read + _written(inside, one)


def _read(fused: dict[str, Instruction], value: Instruction) -> int:
    """Bytes that a fused computation reads of one of its parameters."""
    total = 0
    for user in fused.values():
        for place, name in enumerate(user.operands):
            if name == value.name:
                through = user.operation == "bitcast"
                total += _read(fused, user) if through else _part_read(fused, user, place, value.bytes)
    return min(total, value.bytes)


def _part_read(inside: dict[str, Instruction], user: Instruction, place: int, whole: int) -> int:
    """Bytes that an instruction reads of an operand."""
    if place == 0 and user.operation in _SLICES:
        return min(whole, user.bytes)
    if place == 0 and user.operation == "dynamic-update-slice":
        return 0
    if place == 0 and user.operation == "scatter":
        return min(whole, inside[user.operands[-1]].bytes)
    return 0 if user.operation == "tuple" else whole


def _written(inside: dict[str, Instruction], root: Instruction) -> int:
    """Bytes that a result writes; of what is updated in place those of the update."""
    if root.operation == "tuple":
        return sum(_written(inside, inside[name]) for name in root.operands)
    if root.operation == "bitcast":
        return _written(inside, inside[root.operands[0]])
    if root.operation == "dynamic-update-slice":
        return inside[root.operands[1]].bytes
    if root.operation == "scatter":
        return inside[root.operands[-1]].bytes
    return 0 if root.operation == "parameter" else root.bytes
