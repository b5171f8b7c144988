"""Sockets of paths, of the operating system or of a socket factory of trio's.
`sockets.py` is the seam; `binding.py` opens them.
"""
