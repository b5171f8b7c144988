"""The trio shell: sockets, tasks and clocks around the pure core. See `driver.py`, its centre."""
