"""Station `plan`."""
