"""Requests to any number of origins, over connections that are opened, kept and replaced as they
need it (docs/architecture.md)."""
