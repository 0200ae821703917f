"""Station `cluster`."""
