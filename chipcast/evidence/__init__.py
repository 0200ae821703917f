"""Station `evidence`."""
