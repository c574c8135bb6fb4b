"""Settings of every test: float32 by default, promotion of types only where it is written down."""

import gc
import os
import resource
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

# Before JAX starts: tests compile many small programs and run each a few times. The older emitters compile twice as
# fast; a version of XLA that does not know a flag refuses to start, so that it is set only where it is known. Equality
# to the bit and barriers against fusion are worth testing under an optimising compiler only: MEIO_TEST_XLA=default.
if os.environ.get("MEIO_TEST_XLA") != "default":
    os.environ["XLA_FLAGS"] = " ".join(
        [
            os.environ.get("XLA_FLAGS", ""),
            "--xla_backend_optimization_level=0",
            *(["--xla_cpu_use_fusion_emitters=false"] if version("jaxlib").startswith("0.10.") else []),
        ]
    )

# Tests that start the command line compile the same programs again and again; nothing is kept in the user's folders.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ.get("MEIO_TEST_PROGRAMS") or tempfile.mkdtemp(prefix="meio-")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.02"

import jax
import pytest
from helpers import Case, make_case

from meio_jax.distributed.compile_cache import drop_programs

_OWN_PROGRAMS = "MEIO_TEST_PROGRAMS" not in os.environ

jax.config.update("jax_numpy_dtype_promotion", "strict")


# Programs of some three different solves of 5,000 to 6,000 maps each; a process may have three times as many. And two
# processes with this much memory each leave room for what a test needs, where there are 16 GiB.
_MOST_MAPS, _MOST_PAGES = 20_000, 4 * 2**30 // resource.getpagesize()
_MAPS, _MEMORY = Path("/proc/self/maps"), Path("/proc/self/statm")


def _many_programs() -> bool:
    """Whether compiled programs hold so much that they are better dropped; also where that cannot be seen."""
    if not _MAPS.exists():
        return True
    resident = int(_MEMORY.read_text().split()[1])
    return resident > _MOST_PAGES or _MAPS.read_bytes().count(b"\n") > _MOST_MAPS


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_dropped():
    """Modules share compiled programs, since most trace the same, until there are too many.

    Programs hold memory maps, of which a process may have some tens of thousands, no more. Where maps cannot be
    counted, every module begins without programs.
    """
    yield
    if _many_programs():
        drop_programs()


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the collector need not look at it again while programs are traced."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_configure() -> None:
    """Workers share the folder of the process that started them."""
    os.makedirs(os.environ["JAX_COMPILATION_CACHE_DIR"], exist_ok=True)
    os.environ.setdefault("MEIO_TEST_PROGRAMS", os.environ["JAX_COMPILATION_CACHE_DIR"])


def pytest_unconfigure() -> None:
    """The process that made the folder of compiled programs removes it, once its workers have ended."""
    if _OWN_PROGRAMS:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


@pytest.fixture
def x64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def mixed() -> Case:
    """Three items, one of them backordered, in double precision arrays (use under `x64`)."""
    with jax.enable_x64(True):
        return make_case(backorder=(False, True, False))


@pytest.fixture(scope="session")
def lost() -> Case:
    """Three items whose unmet demand is lost, in double precision arrays (use under `x64`)."""
    with jax.enable_x64(True):
        return make_case(backorder=(False, False, False))
