"""What happened to one connection, written down as qlog.
`trace.py` is the observer of the core; docs/qlog.md says what is written.
"""
