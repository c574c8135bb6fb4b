"""meio-jax: what to buy, where to place it, and what each shared capacity is worth."""
