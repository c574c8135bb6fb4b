"""Parts of `us_network.py`: reading the real data, fitting parcel rates, putting the instance together."""
