"""When an open range of one topic-partition is closed: by rows, bytes, record time, the clock, or silence. Pure.

Rows, bytes and record time cut at the same row however the input was cut into batches; the clock and silence do not.
Tested in tests/connect/sinks/test_buffer.py.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RotationRules:
    """A span of -1 switches its rule off. Schedules are multiples of their interval in UTC."""

    flush_size: int
    rotate_bytes: int
    interval_ms: int
    schedule_interval_ms: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class OpenRange:
    """What has been put since the last cut. first_time_ms: record time of its first row."""

    rows: int
    bytes: int
    first_time_ms: int
    opened_ms: int
    last_put_ms: int


def rows_before_cut(
    rules: RotationRules, open_range: OpenRange | None, times_ms: Int64Array, row_bytes: int
) -> int | None:
    """How many of the coming rows still belong to the open range; None when it takes them all and stays open.

    times_ms: shape (n,), n >= 1, record time of the coming rows. row_bytes: their mean size.
    The answer is 0 only when a range is open.
    """
    rows = open_range.rows if open_range else 0
    size = open_range.bytes if open_range else 0
    first_time_ms = open_range.first_time_ms if open_range else int(times_ms[0])
    cuts = [rules.flush_size - rows]
    if rules.rotate_bytes > 0:
        cuts.append(max(1 if rows == 0 else 0, (rules.rotate_bytes - size) // max(1, row_bytes)))
    if rules.interval_ms > 0:
        past = times_ms - first_time_ms >= rules.interval_ms
        if past.any():
            cuts.append(int(past.argmax()))
    cut = min(cuts)
    return cut if cut <= len(times_ms) and (cut < len(times_ms) or cut == rules.flush_size - rows) else None


def is_due(rules: RotationRules, open_range: OpenRange, now_ms: int) -> bool:
    """Whether the clock alone closes the range.

    A clock that was set back by so much closes it too: else its rows would wait until it is as late again.
    """
    if rules.idle_ms > 0 and abs(now_ms - open_range.last_put_ms) >= rules.idle_ms:
        return True
    if rules.schedule_interval_ms <= 0:
        return False
    opened, now = (moment_ms // rules.schedule_interval_ms for moment_ms in (open_range.opened_ms, now_ms))
    return now != opened
