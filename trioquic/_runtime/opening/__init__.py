"""How a connection comes to be: arguments, names to addresses, the race, one attempt.
Begin with `opening.py`; `race.py` has Happy Eyeballs, `connection_task.py` one attempt to its end.
"""
