"""Hot loops compiled by numba. Pure.

Imported only when data flows: importing numba costs over half a second. numba checks no bounds, so every length and
count that comes from outside is checked here, before it is used. Twins in plain Python: tests/core/records/twins.py.
"""
