"""What every station stands on: errors, units, laws, draws, the catalogue, `given`, the sampler."""
