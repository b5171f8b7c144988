"""Section 9 of RFC 9000 for a client, one idea a file: states, rules, attempts to validate, moves.
`table.py` has the paths, `prober.py` validates them, `mover.py` moves, `watch.py` judges."""
