"""Bytes to values and back: varints, packet headers, frames, transport parameters. No state."""
