"""Counter-based random numbers: a number depends on its key and its counter, never on its place in an array.

Threefry-2x32 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), written
over whole arrays so that one call fills a batch whose every column has its own key. Thirteen rounds pass
BigCrush (ibid.).
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt32

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
ROUNDS = 13


def _rotate(word: Array, bits: int) -> Array:
    return (word << jnp.uint32(bits)) | (word >> jnp.uint32(32 - bits))


def threefry(
    key: tuple[Array, Array], counter: tuple[Array, Array], rounds: int = ROUNDS
) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
    """Scramble a two-word counter under a two-word key; all four are of one rank and broadcast."""
    parity = key[0] ^ key[1] ^ jnp.uint32(_PARITY)
    schedule = (key[0], key[1], parity)
    left, right = counter[0] + key[0], counter[1] + key[1]
    for number in range(rounds):
        left = left + right
        right = _rotate(right, _ROTATIONS[number % 8]) ^ left
        if number % 4 == 3:
            at = number // 4 + 1
            left = left + schedule[at % 3]
            right = right + schedule[(at + 1) % 3] + jnp.uint32(at)
    return left, right


def derive(key: tuple[Array, Array], first: Array, second: Array) -> tuple[Array, Array]:
    """A new key from a key and two words (for example a scenario number and a seed)."""
    return threefry(key, (first, second), rounds=20)


def uniforms(
    key: tuple[UInt32[Array, " batch"], UInt32[Array, " batch"]],
    count: int,
    stream: Array,
    dtype: jnp.dtype = jnp.float32,
    part: int = 0,
) -> Float[Array, "count batch"]:
    """Uniform numbers in (0, 1), open at both ends; row j of a column depends on key, stream, part and j.

    Args:
        key: Two words per column.
        count: Rows.
        stream: Word that names the use (and, say, the period); other streams are independent.
        dtype: Floating type of the result.
        part: Number below 256 of the set of rows within the stream.
    """
    row = jnp.arange(count, dtype=jnp.uint32)[:, None] + jnp.uint32(part << 24)
    at = (row, jnp.broadcast_to(stream, (1, 1)).astype(jnp.uint32))
    # The second word is left unused: to interleave the two takes longer than to scramble twice the counters.
    word, _ = threefry((key[0][None], key[1][None]), at)
    return unit_interval(word, dtype)


def unit_interval(word: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """Uniform numbers in (0, 1) from random words."""
    # 23 random bits and a half are exact in float32, so that float32 and float64 see the same numbers.
    mantissa = (word >> jnp.uint32(9)).astype(dtype)
    return (mantissa + jnp.asarray(0.5, dtype)) * jnp.asarray(2.0**-23, dtype)


def as_words(value: int) -> tuple[Array, Array]:
    """A non-negative Python integer below 2**64 as two 32-bit words."""
    return jnp.uint32(value & 0xFFFFFFFF), jnp.uint32((value >> 32) & 0xFFFFFFFF)


def normals(uniform: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Standard normal numbers by inversion."""
    root = jnp.asarray(2**0.5, uniform.dtype)
    # Faster than `ndtri`; 2 u - 1 is exact for the uniforms above, so nothing is lost near 0 and 1.
    return root * jax.lax.erf_inv(2 * uniform - 1)
