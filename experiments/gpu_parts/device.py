"""A described GPU to compile for on a machine that has none.

JAX's CUDA plug-in compiles for a description of a device: neither a driver nor a GPU is needed, only the plug-in.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

H100 = Path(__file__).with_name("h100.txtpb")
# Bytes a second, bytes of memory, and seconds from one kernel launch to the next of a queue of small ones.
BANDWIDTH, MEMORY, LAUNCH = 3.35e12, 80 * 2**30, 4e-6
_FLAGS = (
    "--xla_gpu_enable_triton_gemm=false",
    "--xla_backend_optimization_level=0",
    "--xla_gpu_disable_gpuasm_optimizations=true",
)
PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin")


def plugin() -> str | None:
    """Name of the CUDA plug-in package, or None where none is installed."""
    return next((name for name in PLUGINS if importlib.util.find_spec(name) is not None), None)


def without_gpu() -> None:
    """Settings of a process that compiles for a GPU and has none; before JAX makes an array.

    Without a device the compiler cannot try tile sizes, and fails on matrix products that it would fuse: they go to the
    library instead. Only the scheduled program is looked at, so that its machine code is not optimised.
    """
    flags = " ".join([os.environ.get("XLA_FLAGS", ""), *_FLAGS])
    os.environ.update(JAX_SKIP_CUDA_CONSTRAINTS_CHECK="1", CUDA_VISIBLE_DEVICES="", XLA_FLAGS=flags)
    jax.config.update("jax_platforms", "cpu")


def sharding() -> Any:
    """Where arrays of a program for the described H100 are.

    Raises:
        SystemExit: The plug-in is not installed.
    """
    if plugin() is None:
        raise SystemExit(
            f"compiling for a GPU needs one of the packages {', '.join(PLUGINS)}, and none is installed: "
            'make an environment with `pip install "jax[cuda13]"`'
        )
    from jax.experimental import topologies
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    described = topologies.get_topology_desc(
        platform="cuda", topology_name="", topology="1x1x1", target_config=H100.read_text(encoding="utf-8")
    )
    return NamedSharding(Mesh(np.asarray(described.devices[:1]), ("device",)), PartitionSpec())
