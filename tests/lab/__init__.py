"""The handover lab: real interfaces in network namespaces that go down, come back, or fall silent.

A client with two access links, `wifi0` and `cell0`, and a server with two addresses live in two
network namespaces. Each link is a pair of TUN devices, one in each namespace; a small relay process
(`relay.py`) carries the packets between them with a delay, a rate and a queue, and can fall silent.
The program under test (`client.py`) runs inside, as its user would run it: no simulated clock, no
simulated socket. `network.py` holds the world together, `trial.py` runs one connection through one
event, `measure.py` makes figures of many. `python -m tests.lab` prints them as a table.
"""
