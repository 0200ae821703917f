"""Station `chip`."""
