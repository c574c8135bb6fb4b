"""What a network, an item and a shared capacity are, as arrays."""
