"""What of a log may be cleaned, told from the sizes, offsets and times of its segments."""

import pytest

from millstream.core.config import LogConfig
from millstream.core.log.compaction.compaction_rules import (
    CleaningPlan,
    SegmentFacts,
    group_segments,
    plan_cleaning,
)

HOUR_MS = 3_600_000
NOW_MS = 100 * HOUR_MS


def planned(sealed: list[SegmentFacts], active: int = 400, **given: int) -> CleaningPlan:
    config = LogConfig(
        cleanup_policy=("compact",),
        **{name: given.pop(name) for name in list(given) if name.endswith("_lag_ms")},  # type: ignore[arg-type]
    )
    values = {"log_start_offset": 0, "stable_offset": 450, "end_offset": 450, "cleaned_to": 0} | given
    return plan_cleaning(config, sealed, active_base_offset=active, now_ms=NOW_MS, **values)


FOUR = [SegmentFacts(base, 1000, NOW_MS - age * HOUR_MS, NOW_MS - age * HOUR_MS) for base, age in
        ((0, 40), (100, 30), (200, 20), (300, 10))]  # fmt: skip


def test_all_but_the_active_segment_is_dirty_at_first() -> None:
    plan = planned(FOUR)

    assert plan == CleaningPlan(0, 400, 0, 4000, overdue=False)
    assert (plan.dirty_ratio, plan.due(LogConfig())) == (1.0, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cleaned_to": 200}, (200, 400, 2000, 2000)),
        ({"cleaned_to": 400}, (400, 400, 4000, 0)),
        ({"cleaned_to": 250}, (250, 400, 3000, 2000)),  # The segment with the border is counted on both sides.
        ({"cleaned_to": 451}, (0, 400, 0, 4000)),  # Beyond the log's end: nothing is believed.
        ({"cleaned_to": 50, "log_start_offset": 120}, (120, 400, 2000, 3000)),
        ({"stable_offset": 399}, (0, 300, 0, 3000)),  # Whole segments only.
        ({"stable_offset": 300}, (0, 300, 0, 3000)),
        ({"stable_offset": 0}, (0, 0, 0, 0)),
        ({"stable_offset": 150, "cleaned_to": 200}, (200, 200, 2000, 0)),
        ({"min_compaction_lag_ms": 15 * HOUR_MS}, (0, 300, 0, 3000)),
        ({"min_compaction_lag_ms": 35 * HOUR_MS}, (0, 100, 0, 1000)),
        ({"min_compaction_lag_ms": 50 * HOUR_MS}, (0, 0, 0, 0)),
    ],
)
def test_the_dirty_part_ends_where_the_stable_offset_and_the_lag_say(
    given: dict[str, int], expected: tuple[int, int, int, int]
) -> None:
    plan = planned(FOUR, **given)

    assert (
        plan.first_dirty_offset, plan.first_uncleanable_offset, plan.clean_bytes, plan.cleanable_bytes
    ) == expected  # fmt: skip


def test_a_record_that_is_over_the_largest_lag_makes_cleaning_due_whatever_the_ratio() -> None:
    lazy = LogConfig(min_cleanable_dirty_ratio=0.5)
    clean_to = {"cleaned_to": 300}

    assert planned(FOUR, **clean_to).dirty_ratio == 0.25
    assert not planned(FOUR, **clean_to).due(lazy)
    assert not planned(FOUR, **clean_to, max_compaction_lag_ms=10 * HOUR_MS).due(lazy)
    assert planned(FOUR, **clean_to, max_compaction_lag_ms=10 * HOUR_MS - 1).due(lazy)


def test_a_log_of_one_segment_has_nothing_to_clean() -> None:
    assert planned([], active=0, stable_offset=10, end_offset=10) == CleaningPlan(0, 0, 0, 0, overdue=False)


def test_segments_become_one_as_long_as_they_fit() -> None:
    segments = [SegmentFacts(base, size) for base, size in ((0, 400), (10, 400), (20, 300), (30, 0), (40, 700))]

    groups = group_segments(segments, segment_bytes=1000, index_bytes=100, upper_offset=50)

    assert [[facts.base_offset for facts in group] for group in groups] == [[0, 10], [20, 30, 40]]


def test_indexes_and_offsets_must_fit_too() -> None:
    indexed = [SegmentFacts(base, 1, offset_index_bytes=60) for base in (0, 10)]
    far = [SegmentFacts(0, 1), SegmentFacts(10, 1), SegmentFacts(2**31, 1)]

    assert len(group_segments(indexed, segment_bytes=1000, index_bytes=100, upper_offset=50)) == 2
    assert len(group_segments(indexed, segment_bytes=1000, index_bytes=120, upper_offset=50)) == 1
    groups = group_segments(far, segment_bytes=1000, index_bytes=100, upper_offset=2**31 + 1)
    assert [len(group) for group in groups] == [2, 1]
