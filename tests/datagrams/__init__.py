"""Datagrams (RFC 9221): the component by itself, and connections that use it."""
