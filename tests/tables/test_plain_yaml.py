"""Settings that anyone may have written: what would grow, nest without end or say two things is refused by line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from folders import settings_content

from meio_jax.config.settings import load_config
from meio_jax.errors import InputError
from meio_jax.tables.plain_yaml import MOST_VALUES, parse_yaml
from meio_jax.tables.settings import settings_from_mapping


def bomb(shape: str) -> str:
    """Eight lines, each of nine aliases of the one before: 43 million values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]" if shape[0] == "[" else "a: &a {x: 1}"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} " + shape.format(", ".join(["*" + before] * 9)))
    return "\n".join(lines) + "\n"


CONFIG = "instance: {path: x}\nrun: r\n"
TEXTS = {
    "aliases": (CONFIG + bomb("[{}]"), f"more than {MOST_VALUES:,} values"),
    "merges": (CONFIG + bomb("{{<<: [{}]}}"), f"more than {MOST_VALUES:,} values"),
    "itself": (CONFIG + "a: &a [*a]\n", "line 3: found a value that holds itself"),
    "deep": (CONFIG + "policy: " + "[" * 3000, "more than 40 levels"),
    "long": (CONFIG + "seed: " + "9" * 5000, "line 3: found the value '999"),
    "hexadecimal": (CONFIG + "seed: 0x" + "f" * 5000, "key seed: found a number of thousands of digits"),
    "no day": ("instance: {path: x, generate: {start_date: 2025-13-45}}\nrun: r\n", "line 1: found the value '2025-13"),
    "no day as name": ("instance: {path: x}\nrun: 2025-02-30\n", "line 2: found the value '2025-02-30'"),
    "nul in base": ('base: "a\\0b"\n' + CONFIG, "null byte"),
    "nul in run": ('instance: {path: x}\nrun: "a\\0b"\n', "key run: found 'a\\x00b'; expected a path without control"),
    "escape in path": ('instance: {path: "\\e[31m"}\nrun: r\n', "key instance.path"),
    "repeated": (CONFIG + "solve: {max_steps: 500, max_steps: 1}\n", "line 3: found key 'max_steps' given twice"),
    "repeated below": (CONFIG + "run: other\n", "line 3: found key 'run' given twice"),
    "far": (CONFIG + "scenarios: {train: 1000000000000}\n", "key scenarios.train"),
    "seed": (CONFIG + "seed: 100000000000000000000\n", "key seed"),
    "infinite": (CONFIG + "instance2: {}\nsolve: {gap: .inf}\n", "key solve.gap"),
    "periods": ("instance: {path: x, generate: {periods: 1000000000}}\nrun: r\n", "key instance.generate.periods"),
    "tag": ("!!python/object/apply:os.system ['true']", "tag"),
    "no key": ("? [a, b]\n: 1\n", "line 1"),
    "large": ("# " + "x" * 1_000_001, "at most 1,000,000 bytes"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_configuration_that_cannot_be_meant_is_refused(name: str, tmp_path: Path) -> None:
    text, told = TEXTS[name]
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert time.perf_counter() - started < 5
    assert told in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "change",
    [
        {"periods": 10**9},
        {"periods": 3661},
        {"bucket_periods": 10**9},
        {"shared_factor_cv": 1e300},
        {"lead_time_limit": 10**9},
        {"history_block": 10**9},
        {"terminal_credit": 1e300},
        {"name": "a\x1b[31m"},
        {"currency": "\u202e"},
        {"name": "x" * 5000},
        {"periods": 16**5000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_are_bounded(change: dict) -> None:
    with pytest.raises(InputError) as caught:
        settings_from_mapping(settings_content("mean") | change)
    assert f"key {next(iter(change))}" in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


def test_plain_aliases_and_merges_are_read() -> None:
    text = "a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}\ne: *a\nf: {<<: *a}\n"
    assert parse_yaml(text, "f") == {
        "a": {"b": 1, "c": 2},
        "d": {"b": 3, "c": 2},
        "e": {"b": 1, "c": 2},
        "f": {"b": 1, "c": 2},
    }
    assert parse_yaml("", "f") is None
