"""The pure QUIC version 1 client: no socket, no clock, no randomness, no logging of its own.

Time (`now`, seconds on the caller's monotonic clock) and randomness (`rng`) are arguments. The
caller moves datagrams and keeps the timer; see `connection.py` for the façade.
"""
