"""The paths of one connection at work: a socket, a task and a handle each.
`path_set.py` has them all and is the only one that adds and removes some; `path_link.py` is one.
"""
