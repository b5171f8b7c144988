"""What keeps a connection on a working network: `supervisor.py` looks, asks the policy and acts;
`outlook.py` has the view made, `memory.py` remembers, `acting.py` carries the decision out.
"""
