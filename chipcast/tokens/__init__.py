"""Station `tokens`."""
