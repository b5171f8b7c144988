"""Throughput over loopback, beside aioquic, in one run against the same server."""
