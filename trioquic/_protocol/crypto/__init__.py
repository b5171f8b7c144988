"""Packet protection of RFC 9001: keys, AEAD, header protection, Retry integrity, key updates."""
