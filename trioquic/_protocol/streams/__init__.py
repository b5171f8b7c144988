"""Streams, their flow control, the handshake's CRYPTO streams (RFC 9000 sections 2-4, 7.5).
`table.py` has all of them; `outbound.py` fills packets with what they have to send."""
