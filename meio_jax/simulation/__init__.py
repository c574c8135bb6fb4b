"""One period and one horizon of the network: serve, order, allocate, account."""
