"""The configuration of a run: YAML in, a nested frozen value out."""

from meio_jax.config.of_folder import config_of
from meio_jax.config.settings import (
    CheckpointPart,
    Choice,
    Config,
    DualPart,
    FulfilmentPart,
    InstancePart,
    ObjectivePart,
    PolicyPart,
    ScenarioPart,
    SolvePart,
    StreamPart,
    UsOptions,
    WarmPart,
    dump_config,
    load_config,
    make_config,
)

__all__ = [
    "CheckpointPart",
    "Choice",
    "Config",
    "DualPart",
    "FulfilmentPart",
    "InstancePart",
    "ObjectivePart",
    "PolicyPart",
    "ScenarioPart",
    "SolvePart",
    "StreamPart",
    "UsOptions",
    "WarmPart",
    "config_of",
    "dump_config",
    "load_config",
    "make_config",
]
