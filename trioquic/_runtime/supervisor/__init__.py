"""What keeps a connection on a working network: `supervisor.py` looks, asks the policy and acts;
`outlook.py` makes the view, `acting.py` carries the decision out.
"""
