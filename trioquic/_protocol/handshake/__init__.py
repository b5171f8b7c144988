"""The handshake as QUIC sees it: TLS in CRYPTO frames, keys, versions, 0-RTT, and what comes of it.
What follows for others is in what its methods return: `../establishment.py` applies it."""
