"""Traces of connections in qlog, read back."""
