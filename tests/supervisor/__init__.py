"""The supervisor, on the simulated network and as a pure function."""
