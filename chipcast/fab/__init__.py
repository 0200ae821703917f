"""Station `fab`."""
