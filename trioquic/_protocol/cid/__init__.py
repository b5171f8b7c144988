"""Connection IDs: the peer's, which we send to, and ours, which the peer sends to."""
