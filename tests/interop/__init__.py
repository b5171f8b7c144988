"""Every server that we know how to start, against everything that a client wants of one.

    make interop                                      all of it, one cell after the other
    python -m tests.interop --only retry,down --servers nginx1,haproxy
    python -m tests.interop --rounds 3                each cell three times; the worst one counts

What came of each cell is kept in `results.json` beside this file, with the date and the version of
the server, and docs/interop.md is drawn from that: a part can be run again, and the rest stays. A
server that is not here is skipped, and its cells say so, unless they are known from another time;
`make chroots` and `make picoquic` get those that can be had (as root).

A case (`cases_*.py`) is a function that gets a `Bench` and does one thing that a user does. It
returns what is worth to be told, raises `Lacking` where the server does not have what it takes, and
fails by any other exception. Whose fault a failure is, somebody has to find out: who has, writes it
into `findings.py`; until then it counts as ours. A failing cell keeps its traces (docs/qlog.md) and
the server's log in `interop-traces/SERVER/CASE`, which is no part of the project.

`servers.py` has the columns of the table, `cases.py` its rows, `table.py` draws it.
"""
