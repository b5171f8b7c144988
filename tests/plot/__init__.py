"""Pictures of handovers: what is read from a trace, and what is drawn of it."""
