"""The TLS 1.3 client that QUIC needs (RFC 8446 as profiled by RFC 9001): no records, no clock.
`client.py` is the handshake; what it offers and believes is in the files beside it."""
