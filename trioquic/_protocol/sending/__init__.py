"""From what the components have to say to datagrams, sealed and entered into the ledger.
`transmit.py` is the hot path; `coalesce.py` makes the datagrams of the handshake."""
