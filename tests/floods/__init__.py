"""Floods of every kind of frame, and what they can make a client hold, send and compute."""
