"""The handshake as QUIC sees it: TLS in CRYPTO frames, keys, versions, 0-RTT, and what comes of it.
One place, `establishment.py`, tells the other components of the core."""
