"""Station `report`."""
