"""Pure array kernels of meio-jax: arrays in, arrays out."""
