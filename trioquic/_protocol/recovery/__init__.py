"""Acknowledgements, loss detection and congestion control of RFC 9002, kept apart by path.

`loss.LossDetector` is the component the rest talks to for packets that were sent, and
`ack_tracker.AckTracker` (one per packet-number space) for packets that were received.
"""
