"""HTTP/3 with aioquic's server in the simulator, with scripted servers, and with real ones."""
