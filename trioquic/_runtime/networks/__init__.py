"""The operating system as a source of networks: what interfaces there are, and when that changes.
A new platform begins in `adapters.py` and `change_triggers.py`, and in `../system/` for routes.
"""
