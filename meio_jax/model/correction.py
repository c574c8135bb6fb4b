"""A trained network of a few layers, shared by all items: a value that programs are compiled for.

Its weights belong to no item, so they are no decision variables of a search and have no place among the leaves of a
policy. They are kept as bytes: equal networks are equal values, and share one compiled program.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FORMAT = "meio-jax correction 1"
# What the file says beside its numbers: where the network comes from.
_TRAINED = "trained"


@dataclass(frozen=True)
class Correction:
    """A network with one output, and the range of what it was trained on.

    Attributes:
        sizes: Inputs, units of every hidden layer, and 1.
        weights: For each layer the matrix `[out, in]` and the bias `[out]`, 32-bit floats, little-endian.
        least: Least of every trait of the systems that it was trained on.
        most: The largest of these.
        trained: Where it comes from, as JSON; no part of what it computes.
    """

    sizes: tuple[int, ...]
    weights: bytes = field(repr=False)
    least: tuple[float, ...]
    most: tuple[float, ...]
    trained: str = field(default="{}", compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1 or self.sizes[-1] != 1:
            raise ValueError(f"sizes of inputs, hidden layers and 1 output, not {list(self.sizes)}")
        if len(self.weights) != 4 * weight_count(self.sizes):
            found, expected = len(self.weights) // 4, weight_count(self.sizes)
            raise ValueError(f"{expected} weights of a network with sizes {list(self.sizes)}, not {found}")
        if len(self.least) != len(self.most) or not np.all(np.isfinite([*self.least, *self.most, *self.vector()])):
            raise ValueError("finite weights, and a least and a most of every trait")

    def vector(self) -> np.ndarray:
        """All weights, one after the other."""
        return np.frombuffer(self.weights, "<f4")

    @property
    def digest(self) -> str:
        """Hash of what it computes."""
        data = {name: value for name, value in self.as_dict().items() if name != _TRAINED}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as files and configurations hold it."""
        return {
            "format": FORMAT,
            "sizes": list(self.sizes),
            "least": list(self.least),
            "most": list(self.most),
            "weights": base64.b64encode(self.weights).decode(),
            _TRAINED: json.loads(self.trained),
        }

    @classmethod
    def of(cls, data: Any) -> Correction:
        """The network of plain data.

        Raises:
            ValueError: If the data are not those of a network.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"a network: a mapping with format {FORMAT!r}")
        try:
            least, most = (tuple(map(float, data[name])) for name in ("least", "most"))
            weights = base64.b64decode(data["weights"], validate=True)
            trained = json.dumps(data.get(_TRAINED, {}), sort_keys=True)
            return cls(tuple(map(int, data["sizes"])), weights, least, most, trained)
        except (KeyError, TypeError, binascii.Error) as error:
            raise ValueError(f"a network that is whole ({error!r})") from None

    @classmethod
    def around(
        cls, weights: np.ndarray, sizes: tuple[int, ...], least: np.ndarray, most: np.ndarray, trained: dict[str, Any]
    ) -> Correction:
        """The network of these weights (one after the other), trained on these ranges."""
        lower, upper = (tuple(float(np.float32(one)) for one in bounds) for bounds in (least, most))
        return cls(sizes, np.asarray(weights, "<f4").tobytes(), lower, upper, json.dumps(trained, sort_keys=True))


def weight_count(sizes: tuple[int, ...]) -> int:
    """Number of weights of a network."""
    return sum(out * (into + 1) for into, out in itertools.pairwise(sizes))


def first_weights(sizes: tuple[int, ...], seed: int) -> Float[np.ndarray, " weights"]:
    """Weights to start training from: random in the hidden layers, nought in the last, so that the output is 0."""
    rng = np.random.default_rng(seed)
    parts = []
    for into, out in itertools.pairwise(sizes):
        parts += [rng.standard_normal(out * into) / np.sqrt(into), np.zeros(out)]
    parts[-2] = np.zeros_like(parts[-2])
    return np.concatenate(parts).astype(np.float32)


def output(
    weights: Float[Array, " weights"], sizes: tuple[int, ...], inputs: Float[Array, "inputs *batch"]
) -> Float[Array, "*batch"]:
    """What a network of hyperbolic tangents answers.

    Args:
        weights: All weights, one after the other.
        sizes: Inputs, units of every hidden layer, and 1.
        inputs: One row for each input.
    """
    at, value = 0, inputs.reshape(inputs.shape[0], -1)
    for number, (into, out) in enumerate(itertools.pairwise(sizes)):
        matrix = weights[at : at + out * into].reshape(out, into)
        value = matrix @ value + weights[at + out * into : at + out * (into + 1)][:, None]
        value = value if number == len(sizes) - 2 else jax.nn.tanh(value)
        at += out * (into + 1)
    return jnp.reshape(value, inputs.shape[1:])
