"""Acknowledgements, loss detection and congestion control of RFC 9002, kept apart by path.
`loss.py` has what was sent, `ack_tracker.py` what was received."""
