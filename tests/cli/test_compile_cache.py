"""Compiled programs are kept between processes, where the user wants them, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A program of its own; the least time that is worth keeping is set to nothing.
PROGRAM = """
import jax, jax.numpy as jnp
from meio_jax.distributed.compile_cache import keep_compiled_programs
keep_compiled_programs()
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
jax.block_until_ready(jax.jit(lambda x: jnp.cumsum(jnp.sin(x)) * 3)(jnp.arange(7.0)))
print(len(hits), jax.config.jax_compilation_cache_dir)
"""


def ran(home: Path, program: str = PROGRAM, **environment: str) -> tuple[int, str]:
    """Programs found compiled, and the folder, of a process whose user's folders are below `home`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "LOCALAPPDATA": str(home / "cache")}
    least = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, **own, **least, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    hits, folder = done.stdout.split(maxsplit=1)
    return int(hits), folder.strip()


def kept(folder: Path) -> list[Path]:
    return list(folder.rglob("*-cache"))


def test_the_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    first, folder = ran(tmp_path)
    assert first == 0
    assert kept(tmp_path)
    assert Path(folder).is_relative_to(tmp_path)
    again, _ = ran(tmp_path)
    assert again > 0


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of this kind are POSIX")
def test_a_program_that_was_kept_in_part_is_kept_whole_by_the_next_process(tmp_path: Path) -> None:
    """A disk that was full once must not cost every later process a compilation and a warning."""
    hits, _ = ran(tmp_path, program=LIMITED + PROGRAM)
    assert hits == 0
    assert {entry.stat().st_size for entry in kept(tmp_path)} == {600}
    assert ran(tmp_path)[0] == 0
    assert all(entry.stat().st_size > 600 for entry in kept(tmp_path))
    assert ran(tmp_path)[0] > 0


def test_jax_settings_name_the_folder_or_switch_it_off(tmp_path: Path) -> None:
    _, folder = ran(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "elsewhere"))
    assert folder == str(tmp_path / "elsewhere")
    assert kept(tmp_path / "elsewhere")
    assert not kept(tmp_path / "cache")
    _, folder = ran(tmp_path / "other", JAX_ENABLE_COMPILATION_CACHE="false")
    assert folder == "None"
    assert not kept(tmp_path / "other")


@pytest.mark.skipif(os.name == "nt", reason="folders of this kind are POSIX")
def test_a_folder_that_cannot_be_made_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    hits, folder = ran(tmp_path)
    assert (hits, folder) == (0, "None")
