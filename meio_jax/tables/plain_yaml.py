"""Reading YAML files that anyone may have written: plain values only, every key once, and nothing that grows.

A file of 350 bytes may stand for gigabytes (aliases of aliases), and a few thousand brackets exhaust the stack. So the
size that a file expands to, and its depth, are bounded before anything is built from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from meio_jax.errors import InputError, Note, Problem

MOST_BYTES = 1_000_000
"""Larger files are refused: settings are a few lines."""
MOST_VALUES = 20_000
"""Values and keys that a file may hold, aliases counted as often as they are used."""
DEEPEST = 40
"""Levels of lists and mappings."""

_EXPECTED = "plain YAML without tags or repeated keys"


class _Refused(yaml.MarkedYAMLError):
    """What is wrong, at a mark."""

    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(problem=what, problem_mark=mark)


class _PlainLoader(yaml.SafeLoader):
    """The safe loader with a bound on depth; what is no value (the 30th of February) is told by line."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, AttributeError, TypeError):
            raise _Refused(f"the value {node.value[:40]!r}, which is no date or number", node.start_mark) from None


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Values under a node, aliases counted each time; raises where a key is repeated or a value holds itself."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise _Refused("a value that holds itself", node.start_mark)
        return known[id(node)]
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in keys:
                    raise _Refused(f"key {key.value!r} given twice", key.start_mark)
                keys.add(key.value)
            count += _values(key, known) + _values(value, known)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_values(value, known) for value in node.value)
    if count > MOST_VALUES:
        raise _Refused(f"more than {MOST_VALUES:,} values, aliases counted as often as used", node.start_mark)
    known[id(node)] = count
    return count


def parse_yaml(text: str, label: str) -> Any:
    """The value that a YAML text stands for.

    Args:
        text: The text.
        label: Name of the file, for messages.

    Raises:
        InputError: If it is not plain YAML, repeats a key, is too deep, or expands to too many values.
    """
    try:
        loader = _PlainLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _values(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else ""
        what = (getattr(error, "problem", None) or " ".join(str(error).split())).removeprefix("found ")
        raise InputError([Problem(label, where, "", Note(what), _EXPECTED, "correct the line")]) from None


def read_small(path: Path, label: str, absent: Problem) -> bytes:
    """The content of a file of settings.

    Args:
        path: The file.
        label: Its name, for messages.
        absent: What to say where there is no such file.

    Raises:
        InputError: If there is none, it cannot be read, or it is larger than settings ever are.
    """

    def refuse(found: object, expected: str, remedy: str) -> InputError:
        return InputError([Problem(label, "", "", found, expected, remedy)])

    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError([absent]) from None
    except (OSError, ValueError) as error:
        raise refuse(Note(error), "a readable UTF-8 text file", "correct the path or the file") from None
    if len(content) > MOST_BYTES:
        raise refuse(Note("a larger file"), f"at most {MOST_BYTES:,} bytes", "keep settings only")
    return content


def as_text(content: bytes, label: str) -> str:
    """The content of a file as text. InputError where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(label, f"byte {error.start}", "", "", "UTF-8 text", "save the file as UTF-8")
        raise InputError([problem]) from None
