"""What reports jointly imply, and what must be true for a claim to be true."""
