"""Hypothesis strategies for rows of a partition."""

from hypothesis import strategies as st

from millstream.core.records import Row

optional_bytes = st.none() | st.binary(max_size=40) | st.binary(min_size=120, max_size=400)
headers = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=20)), max_size=3).map(tuple)
timestamps = st.integers(0, 2**41) | st.just(-1) | st.integers(0, 2**62)


@st.composite
def rows(draw: st.DrawFn, *, min_size: int = 0, max_size: int = 30, first_offset: int = 0) -> list[Row]:
    """Rows with growing offsets, which have gaps as in a compacted topic."""
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 70, 20000]), min_size=min_size, max_size=max_size))
    offset = first_offset + draw(st.sampled_from([0, 5, 2**40]))
    with_headers = draw(st.booleans())
    out = []
    for step in steps:
        out.append(
            Row(
                offset,
                draw(timestamps),
                draw(optional_bytes),
                draw(optional_bytes),
                draw(headers) if with_headers else (),
            )
        )
        offset += step
    return out
