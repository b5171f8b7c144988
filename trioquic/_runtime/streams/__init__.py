"""Streams and datagrams as trio knows them.
`streams.py` has the classes, `halves.py` what they share, `datagrams.py` RFC 9221.
"""
