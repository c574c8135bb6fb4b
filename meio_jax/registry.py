"""Families of interchangeable parts, found by listing a folder: one file holds one member.

A file `name.py` in the folder of a family contributes its one final subclass under the name `name`, so adding a
member touches one file only.
"""

import importlib
import pkgutil
import sys
from typing import Any, TypeVar

Member = TypeVar("Member")


def discover(package: str, base: type, skip: frozenset[str] = frozenset()) -> dict[str, type[Any]]:
    """Map the files of a package to the subclass of `base` that each defines.

    Args:
        package: Dotted name of the package, which may still be loading: its registry is one of its modules.
        base: What members extend.
        skip: Files that hold no member.

    Raises:
        TypeError: If a file defines more than one subclass; it must be split or listed in `skip`.
    """
    found = {}
    for info in pkgutil.iter_modules(sys.modules[package].__path__):
        if info.name in skip or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        own = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, base)
            and value is not base
            and value.__module__ == module.__name__
        ]
        if len(own) > 1:
            raise TypeError(f"{module.__name__} defines {len(own)} members of its family; give each its own file.")
        if own:
            found[info.name] = own[0]
    return found


def choose(family: dict[str, type[Member]], name: str, what: str) -> type[Member]:
    """Look a member up.

    Raises:
        KeyError: If there is no such member; the message lists those that exist.
    """
    if name not in family:
        raise KeyError(f"{what} `{name}` does not exist; choose one of {', '.join(sorted(family))}.")
    return family[name]
