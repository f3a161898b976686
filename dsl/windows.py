"""Windows as users write them. Pure. What they mean: streams/windows.py. Tests: tests/dsl/test_windows.py."""

from ..streams.windows import Window
from .durations import Span, span_ms


def tumbling(size: Span, *, grace: Span = 0, idle: Span | None = None) -> Window:
    """Windows of `size` side by side, aligned to the epoch: each row falls in one.

    grace: how long a window stays open for rows that come late, in event time. idle: after so long without input, time
    goes on with the wall clock, so that windows close on quiet input; without it they close when a later row comes.
    """
    size_ms = span_ms("size", size)
    return Window(size_ms, size_ms, span_ms("grace", grace), None if idle is None else span_ms("idle", idle))


def hopping(size: Span, advance: Span, *, grace: Span = 0, idle: Span | None = None) -> Window:
    """Windows of `size` that start every `advance`: each row falls in size / advance of them."""
    return Window(
        span_ms("size", size), span_ms("advance", advance), span_ms("grace", grace),
        None if idle is None else span_ms("idle", idle),
    )  # fmt: skip
