"""What is known of a segment's bytes, beside the set of all positions that were ever told to be good."""

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.log.segments.checked_span import CheckedSpan

POSITIONS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), POSITIONS, POSITIONS).map(lambda step: (step[0], *sorted(step[1:]))),
        st.tuples(st.just("cut"), POSITIONS),
        st.just(("forget",)),
    ),
    max_size=12,
)


@given(STEPS, POSITIONS)
def test_nothing_is_taken_for_good_that_was_not_told_to_be(steps: list[tuple[str, ...]], position: int) -> None:
    span, good = CheckedSpan(), set[int]()
    for name, *numbers in steps:
        getattr(span, name)(*numbers)
        if name == "add":
            good |= set(range(*map(int, numbers)))
        else:
            good = {one for one in good if name == "cut" and one < int(numbers[0])}

    end = span.end_from(position)

    assert position <= end
    assert set(range(position, end)) <= good


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_all_is_known_of_what_was_appended_piece_by_piece(sizes: list[int]) -> None:
    span, end = CheckedSpan(), 0
    for size in sizes:
        span.add(end, end + size)
        end += size

    assert [span.end_from(position) for position in range(end + 1)] == [end] * (end + 1)


def test_a_reader_from_the_start_meets_what_was_appended() -> None:
    span = CheckedSpan()
    span.add(50, 60)
    span.add(0, 20)
    assert (span.end_from(0), span.end_from(50)) == (20, 50)

    span.add(20, 60)

    assert span.end_from(0) == 60
