"""Programs that are kept between processes whole, so that what was traced and compiled once is only loaded.

JAX keeps what XLA compiled, by the text of the program; to have that text it traces the Python functions first, which
for a step takes as long as compiling. A program is kept here by what the trace depends on instead: the function, the
source of this package, versions and settings, and shapes, types and static values of the arguments. What cannot be
named so that another process would give it the same name (a policy of the user's own), and what several processes run
together, is traced as ever.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import io
import os
import pickle
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from filelock import FileLock, Timeout
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache.compilation_cache import reset_cache

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Modules were imported after this moment; source that is newer may differ from what was imported.
_BEGAN = time.time() - 10
# Seconds to wait for another process that makes the same program.
_LONGEST_WAIT = 300.0
# Bytes of programs that are kept.
LIMIT = 2**30
_FOLDER = "whole"
_ENDING = ".program"
# Static values may name functions and classes of these: their versions are part of the name.
_DISTRIBUTIONS = ("jax", "jaxlib", "equinox", "optax", "numpy", "jaxtyping")
_OWN = ("meio_jax", "meio_kernels")
_NAMED = frozenset((*_OWN, *_DISTRIBUTIONS, "builtins", "functools", "operator", "collections", "copyreg"))
# Settings of JAX that say where programs are kept and what is logged, not what they compute.
_NO_PART = ("cache", "log", "dump", "traceback", "share_binary", "distributed", "thread_guard", "num_cpu_devices")


class _Slot(NamedTuple):
    """An array among the leaves of a tree: its type, and the devices that it is on."""

    dtype: str
    shape: tuple[int, ...]
    weak: bool
    placement: str


class _Program(NamedTuple):
    """A compiled program of arrays, and the tree that its results belong to."""

    run: Callable[..., list[jax.Array]]
    results: Any

    def __call__(self, arrays: list[jax.Array]) -> Any:
        found = iter(self.run(*arrays))
        return jax.tree.map(
            lambda leaf: next(found) if isinstance(leaf, _Slot) else leaf, self.results, is_leaf=_is_slot
        )


def _is_slot(leaf: Any) -> bool:
    return isinstance(leaf, _Slot)


_loaded: dict[tuple, _Program | None] = {}
_lock = threading.RLock()


def forget_programs() -> None:
    """Let go of the programs that this process holds, as `jax.clear_caches` does of JAX's own."""
    _loaded.clear()


class _KeptJit:
    """A function that is compiled as `equinox.filter_jit` compiles it, and kept (`kept_jit`)."""

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._jitted: Any = eqx.filter_jit(function)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """The traced program, as `equinox.filter_jit` gives it."""
        return self._jitted.lower(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        if _folder() is None or not _in_this_process(leaves):
            return self._jitted(*args, **kwargs)
        arrays = [_on_device(leaf) for leaf in leaves if eqx.is_array(leaf)]
        slots = iter(map(_slot, arrays))
        places = [next(slots) if eqx.is_array(leaf) else leaf for leaf in leaves]
        key = (self._function, tree, tuple((type(place), place) for place in places), _settings())
        if key not in _loaded:
            with _lock:
                if key not in _loaded:
                    _loaded[key] = self._program(tree, places, arrays)
        program = _loaded[key]
        return self._jitted(*args, **kwargs) if program is None else program(arrays)

    def _program(self, tree: Any, places: list, arrays: list[jax.Array]) -> _Program | None:
        """The program for such arguments, from the folder or compiled; None where it cannot be kept."""
        folder, name = _folder(), _name(self._function, (tree.unflatten(places), _settings()))
        if folder is None or name is None:
            return None
        path = folder / f"{name}{_ENDING}"
        devices = _devices_of(arrays)
        found = _read(path, devices)
        if found is not None:
            return found
        with _alone(path):
            return _read(path, devices) or _compile(self._function, tree, places, arrays, path)


def kept_jit(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A compiled function of arrays and static values, kept between processes where that is possible.

    It takes the place of `equinox.filter_jit`. What the function computes may depend on its arguments, on the source
    of this package and on settings of JAX, and on nothing else: no table that is filled while the program runs.
    """
    return cast(Callable[_P, _R], _KeptJit(function))


def _on_device(leaf: Any) -> jax.Array:
    return leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)


def _slot(array: jax.Array) -> _Slot:
    weak, traced = bool(getattr(array, "weak_type", False)), isinstance(array, jax.core.Tracer)
    placement = "" if traced else _placement(array.sharding, array.committed)
    return _Slot(str(array.dtype), array.shape, weak, placement)


@functools.cache
def _placement(sharding: Any, committed: bool) -> str:
    """On which devices an array is, and how it is split, in words that do not depend on the process."""
    own = sorted(device.id for device in sharding.device_set)
    return f"{sharding} {own} {committed}" if len(own) > 1 or committed else f"{own}"


def _in_this_process(leaves: list[Any]) -> bool:
    """Whether the arrays among these are values, not traced ones, of a single process."""
    return jax.process_count() == 1 and not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def _settings() -> tuple:
    """Settings of JAX that a trace may depend on, as they are in this thread."""
    return tuple(
        (name, str(getattr(jax.config, name, None)))
        for name in jax.config.values
        if not any(word in name for word in _NO_PART)
    )


def _folder() -> Path | None:
    """Where programs are kept: inside the folder of JAX's own, where that is a folder of this machine."""
    settings = jax.config.values
    where = settings["jax_compilation_cache_dir"]
    off = settings["jax_disable_jit"] or not settings["jax_enable_compilation_cache"]
    return None if off or not where or "://" in where else Path(where) / _FOLDER


class _Namer(pickle.Pickler):
    """Bytes that are equal for equal values, of functions and classes whose source is part of the name."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        # Every value is written whole: whether two equal ones are the same object makes no difference.
        self.fast = True

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, jax.Device):
            return int, (value.id,)
        if isinstance(value, type) or callable(value):
            module = getattr(value, "__module__", None) or type(value).__module__
            if module.split(".")[0] not in _NAMED:
                raise pickle.PicklingError(module)
        return NotImplemented


def _name(function: Callable, described: tuple) -> str | None:
    """A name that another process gives to the same program; None where there is none."""
    if function.__module__.split(".")[0] not in _OWN or not _source_is_older():
        return None
    written = io.BytesIO(f"{function.__module__}\0{function.__qualname__}\0".encode())
    written.seek(0, io.SEEK_END)
    try:
        _Namer(written).dump(described)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
        return None
    return hashlib.sha256(_environment() + written.getvalue()).hexdigest()


def _source() -> Iterator[tuple[Path, Path]]:
    """The folders of this package and of its kernels, and the files in them."""
    for name in _OWN:
        for folder in map(Path, sys.modules[name].__path__ if name in sys.modules else ()):
            for path in sorted(folder.rglob("*.py")):
                yield folder, path


def _source_is_older() -> bool:
    """Whether the source is what this process has imported: it was written before the process began."""
    try:
        return all(path.stat().st_mtime < _BEGAN for _, path in _source())
    except OSError:
        return False


@functools.cache
def _environment() -> bytes:
    """What programs of this process depend on besides their arguments: source, versions, machine, flags of XLA."""
    known = hashlib.sha256()
    for folder, path in _source():
        known.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    device = jax.devices()[0]
    versions = [importlib.metadata.version(name) for name in _DISTRIBUTIONS]
    flags = os.environ.get("XLA_FLAGS", "")
    about = [sys.version, platform.machine(), _processor(), device.platform, device.device_kind, *versions, flags]
    known.update("\0".join(about).encode())
    return known.digest()


def _processor() -> str:
    """The instructions that this processor knows: a program of one that knows more would be ended by the system."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.processor()


def _compile(function: Callable, tree: Any, places: list, arrays: list[jax.Array], path: Path) -> _Program:
    """The program, traced, compiled and written down."""
    results: list[Any] = []

    def of_arrays(*traced: jax.Array) -> list[jax.Array]:
        given = iter(traced)
        args, kwargs = tree.unflatten([next(given) if isinstance(place, _Slot) else place for place in places])
        out: Any
        leaves, out = jax.tree.flatten(function(*args, **kwargs))
        results.append(out.unflatten([_slot(leaf) if eqx.is_array(leaf) else leaf for leaf in leaves]))
        return [leaf for leaf in leaves if eqx.is_array(leaf)]

    # The name under which profiles and logs of JAX show it.
    of_arrays.__name__ = function.__name__
    lowered = jax.jit(of_arrays).lower(*arrays)
    with _compiled_environment():
        compiled = lowered.compile()
    program = _Program(compiled, results[-1])
    # A program that cannot be written, for want of space or because of what it holds, is used all the same.
    with suppress(OSError, ValueError, TypeError, AttributeError, NotImplementedError, pickle.PicklingError):
        executable, _, _ = serialize_executable.serialize(compiled)
        if _source_is_older():
            _write(path, pickle.dumps((executable, len(arrays), program.results)))
    return program


@contextmanager
def _compiled_environment() -> Iterator[None]:
    """Compile without JAX's own folder of programs: one that was read from there cannot be written down once more.

    On CPUs it would lack the functions that it was linked from, which is found only when it runs.
    """
    enabled = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
        reset_cache()


def _devices_of(arrays: list[jax.Array]) -> list[jax.Device]:
    """The devices that a program of these arguments runs on."""
    placed = {device for array in arrays if array.committed for device in array.sharding.device_set}
    return sorted(placed or jax.devices()[:1], key=lambda device: device.id)


def _read(path: Path, devices: list[jax.Device]) -> _Program | None:
    """A program that was kept; None where there is none, or not all of it."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, kept = content[:32], content[32:]
    if hashlib.sha256(kept).digest() != digest:
        return None
    try:
        executable, count, results = pickle.loads(kept)
        inputs = jax.tree.structure(((0,) * count, {}))
        outputs = jax.tree.structure([0] * sum(map(_is_slot, jax.tree.leaves(results, is_leaf=_is_slot))))
        run = serialize_executable.deserialize_and_load(executable, inputs, outputs, execution_devices=devices)
        return _Program(run, results)
    except (ValueError, TypeError, AttributeError, ImportError, pickle.UnpicklingError, jax.errors.JaxRuntimeError):
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process make a program while others that want it too wait; where that cannot be, each makes it."""
    lock = FileLock(path.with_suffix(".lock"))
    with suppress(OSError, Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_LONGEST_WAIT)
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            path.with_suffix(".lock").unlink()


def _write(path: Path, kept: bytes) -> None:
    """Write a program beside its place and move it there, so that nobody reads half of it; drop the oldest ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(hashlib.sha256(kept).digest() + kept)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    _drop_oldest(path.parent)


def _drop_oldest(folder: Path) -> None:
    """Keep the programs that were used last, as many as may be kept."""
    kept = []
    for one in folder.iterdir():
        with suppress(OSError):
            kept.append((one.stat().st_mtime, one.stat().st_size, one))
    held = sum(size for _, size, _ in kept)
    for _, size, one in sorted(kept)[:-1]:
        if held <= LIMIT:
            return
        one.unlink(missing_ok=True)
        held -= size
