"""Station `market`."""
