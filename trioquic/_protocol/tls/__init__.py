"""The TLS 1.3 client that QUIC needs (RFC 8446 as profiled by RFC 9001): no records, no clock.

`client.TlsClient` is the only thing the rest of the protocol talks to. Below it: `config` (what
the caller wants), `state` (the handshake as a table), `assembler` (CRYPTO bytes to messages),
`messages` and `extensions` (the wire format), `hello` (the offer and the answer to it),
`key_exchange`, `key_schedule`, `signatures`, `certificates` (reading and loading them), `verify`
(which server certificates are trusted) and `alerts`.
"""
