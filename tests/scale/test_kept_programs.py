"""A program that another process compiled is only loaded: for the same arguments and settings, and for no others."""

import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filelock import FileLock
from jax.sharding import NamedSharding, PartitionSpec

from meio_jax.distributed import kept_programs
from meio_jax.distributed.kept_programs import forget_programs
from meio_jax.policy.base_stock import BaseStock
from meio_jax.solver.first_levels import in_units


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files of the programs that were traced and compiled, in a folder of this test's own."""
    written: list[Path] = []
    original = kept_programs._compile

    def noted(*arguments):
        written.append(arguments[-1])
        return original(*arguments)

    monkeypatch.setattr(kept_programs, "_compile", noted)
    monkeypatch.setattr(kept_programs, "_folder", lambda: tmp_path / "whole")
    monkeypatch.setattr(kept_programs, "_loaded", {})
    # Also where the source was changed a moment ago.
    monkeypatch.setattr(kept_programs, "_BEGAN", time.time())
    return written


def levels(value: float, size: int = 3) -> BaseStock:
    return BaseStock(jnp.full((1, 2, size), value, jnp.float32))


def ratio(value: float = 6.0, size: int = 3) -> np.ndarray:
    return np.asarray(in_units(levels(value, size), levels(2.0, size)).target)


def in_another_process() -> None:
    """What this process has loaded is not known to the next."""
    forget_programs()


def test_a_program_is_traced_by_the_first_process_alone(made: list[Path]) -> None:
    first = ratio()
    again = ratio(8.0)
    in_another_process()
    np.testing.assert_array_equal(ratio(), first)
    np.testing.assert_array_equal(first, 3)
    np.testing.assert_array_equal(again, 4)
    assert len(made) == 1


def test_results_are_of_the_class_they_were(made: list[Path]) -> None:
    ratio()
    in_another_process()
    found = in_units(levels(6.0), levels(2.0))
    assert isinstance(found, BaseStock)
    assert len(made) == 1


def test_other_shapes_and_settings_are_other_programs(made: list[Path]) -> None:
    ratio()
    ratio(size=4)
    with jax.numpy_dtype_promotion("standard"):
        ratio()
    with jax.enable_x64(True):
        ratio()
    with jax.enable_x64(True):
        wide = in_units(*(BaseStock(jnp.full((1, 2, 3), value, jnp.float64)) for value in (6.0, 2.0)))
    assert wide.target.dtype == jnp.float64
    assert len(set(made)) == len(made) == 5


def test_other_source_is_another_program(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ratio()
    monkeypatch.setattr(kept_programs, "_environment", lambda: b"another version of the package")
    in_another_process()
    ratio()
    assert len(set(made)) == 2


def test_nothing_is_kept_of_source_that_changed_since_it_was_imported(
    made: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "module.py"
    written.write_text("")
    monkeypatch.setattr(kept_programs, "_source", lambda: iter([(tmp_path, written)]))
    monkeypatch.setattr(kept_programs, "_BEGAN", written.stat().st_mtime)
    np.testing.assert_array_equal(ratio(), 3)
    assert not (tmp_path / "whole").exists()
    assert not made


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-1], lambda content: content[::-1]])
def test_a_damaged_program_is_made_anew(made: list[Path], damage) -> None:
    ratio()
    made[0].write_bytes(damage(made[0].read_bytes()))
    in_another_process()
    np.testing.assert_array_equal(ratio(), 3)
    in_another_process()
    np.testing.assert_array_equal(ratio(), 3)
    assert made == [made[0]] * 2


def test_nothing_is_kept_where_nothing_can_be_written(made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("a file where the folder should be")
    np.testing.assert_array_equal(ratio(), 3)
    in_another_process()
    np.testing.assert_array_equal(ratio(), 3)
    assert len(made) == 2


class Own(BaseStock):
    """A policy of the user's own, whose source is not ours."""


def test_what_others_wrote_is_traced_as_ever(made: list[Path]) -> None:
    found = in_units(*(Own(levels(value).target) for value in (6.0, 2.0)))
    np.testing.assert_array_equal(found.target, 3)
    assert isinstance(found, Own)
    assert not made


def test_a_program_within_another_is_part_of_it(made: list[Path]) -> None:
    whole = jax.jit(lambda value: in_units(BaseStock(value), levels(2.0)).target)
    np.testing.assert_array_equal(whole(levels(6.0).target), 3)
    assert not made


def test_arrays_on_other_devices_are_another_program(made: list[Path]) -> None:
    mesh = jax.make_mesh((1,), ("items",))
    apart = jax.device_put(levels(6.0).target, NamedSharding(mesh, PartitionSpec("items")))
    ratio()
    for _ in range(2):
        found = in_units(BaseStock(apart), levels(2.0)).target
        np.testing.assert_array_equal(found, 3)
        in_another_process()
    assert len(set(made)) == len(made) == 2


def test_the_programs_used_last_are_kept(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ratio(size=3)
    monkeypatch.setattr(kept_programs, "LIMIT", 3 * made[0].stat().st_size // 2)
    ratio(size=4)
    assert [path.exists() for path in made] == [False, True]


def test_one_process_makes_a_program_and_the_other_waits(made: list[Path]) -> None:
    """What was made while this process waited for its turn is read."""
    ratio()
    kept, path = made[0].read_bytes(), made[0]
    path.unlink()
    in_another_process()
    # Another thread lets go of it, as another process would.
    lock = FileLock(path.with_suffix(".lock"), thread_local=False)
    lock.acquire()

    def finish() -> None:
        path.write_bytes(kept)
        lock.release()

    other = threading.Timer(0.3, finish)
    other.start()
    np.testing.assert_array_equal(ratio(), 3)
    other.join()
    assert len(made) == 1


def test_a_program_that_another_process_never_finishes_is_made_here(
    made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_programs, "_LONGEST_WAIT", 0.1)
    ratio()
    made[0].unlink()
    in_another_process()
    with FileLock(made[0].with_suffix(".lock")):
        np.testing.assert_array_equal(ratio(), 3)
    assert len(made) == 2
