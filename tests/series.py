"""The long series: `make series` plays all of them, `make test` a short form.

A test that is one of a series carries the mark `series`; one that plays a series itself asks here.
"""

all_of_them = False
"""Whether pytest was called with --series."""
