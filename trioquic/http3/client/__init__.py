"""Requests to any number of origins, over connections that are opened, kept and replaced as they
need it. `origins.py` says who owns what."""
