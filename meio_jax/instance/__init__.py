"""Instances in arrays."""

from meio_jax.instance.build import Instance as Instance
from meio_jax.instance.build import Shared as Shared
from meio_jax.instance.build import build_instance as build_instance
from meio_jax.instance.ids import Ids as Ids
from meio_jax.instance.resource_arrays import KINDS as KINDS
