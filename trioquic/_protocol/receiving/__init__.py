"""From datagrams to frames, and from frames to the components that own them.
Short headers are the hot path; long headers, packets before their keys and resets are beside it."""
