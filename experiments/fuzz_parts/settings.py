"""Mutations of instance.yaml and of a configuration, as text."""

from __future__ import annotations

import itertools
import random

import yaml

from fuzz_parts.values import YAML_VALUES


def mutate_yaml(text: str, dice: random.Random) -> tuple[str, str]:
    """A settings file with a value, a key or the text itself changed; and what was done."""
    how = dice.choice(
        ("value", "value", "value", "value", "value", "drop", "add", "repeat", "bomb", "cut", "deep", "tab")
    )
    if how in ("value", "drop", "add"):
        return _by_key(yaml.safe_load(text), how, dice)
    lines = text.splitlines()
    if how == "repeat":
        lines.append(dice.choice([line for line in lines if line and line[0] not in " -#"]))
    elif how == "bomb":
        names = "abcdefgh"
        lines.append("a: &a [x, x, x, x, x, x, x, x, x]")
        lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in itertools.pairwise(names)]
    elif how == "deep":
        lines.append("name: " + dice.choice(("[", "{a: ")) * dice.choice((30, 300, 3000)))
    elif how == "tab":
        at = dice.randrange(len(lines))
        lines[at] = "\t" + lines[at]
    else:
        whole = "\n".join(lines)
        return whole[: dice.randrange(len(whole))], "cut"
    return "\n".join(lines) + "\n", how


def _by_key(content: dict, how: str, dice: random.Random) -> tuple[str, str]:
    """One key of the mapping, at any depth, with another value; without it; or with another beside it."""
    place, path = content, []
    while True:
        key = dice.choice(list(place))
        path.append(str(key))
        if not (isinstance(place[key], dict) and place[key] and dice.random() < 0.8):
            break
        place = place[key]
    if how == "drop":
        del place[key]
        return yaml.safe_dump(content), f"no {'.'.join(path)}"
    if how == "add":
        key = dice.choice((key + "s", "x", key.upper(), "", " " + key))
    value = dice.choice(YAML_VALUES)
    place[key] = "__VALUE__"
    text = yaml.safe_dump(content, default_flow_style=False, width=100_000)
    return text.replace("__VALUE__", value), f"{'.'.join(path)} ({key!r}) = {value:.40}"
