"""Whole connections over bad networks, played from seeds in virtual time.

A failing test names its scenario and seed. To see that run again, datagram by datagram::

    python -m tests.simulation cut 17
"""
