"""Station `rules`."""
