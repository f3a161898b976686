"""Windows and spans as users write them."""

from datetime import timedelta

import pytest

import millstream as ms
from millstream.dsl.durations import Span, span_ms
from millstream.streams.windows import Window


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("1m", 60_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        (7, 7),
        (timedelta(seconds=1.5), 1_500),
        ("2w", 1_209_600_000),
    ],
)
def test_spans_read_as_written(span: Span, expected: int) -> None:
    assert span_ms("size", span) == expected


def test_a_tumbling_window_advances_by_its_size() -> None:
    assert ms.tumbling("1m", grace="10s") == Window(60_000, 60_000, 10_000)


def test_a_hopping_window_has_its_own_advance() -> None:
    assert ms.hopping("5m", "1m", idle="30s") == Window(300_000, 60_000, 0, 30_000)
