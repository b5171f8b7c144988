"""How fast trioquic is beside other QUIC clients, on the same work in the same run.

docs/benchmarks.md says how it is measured. `works.py` has what is measured and the bars,
`clients.py` who takes part, `task.py` what a client process is told and what it answers.
"""
