import pytest

from millstream.core.client.network.versions import choose_version
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.apis import ApiKey


@pytest.mark.parametrize(
    ("ranges", "newest", "expected"),
    [
        ({ApiKey.FETCH: (4, 18)}, None, 17),  # Ours is the lower limit.
        ({ApiKey.FETCH: (4, 11)}, None, 11),  # The peer's is.
        ({ApiKey.FETCH: (4, 18)}, 12, 12),  # The caller's is.
    ],
)
def test_the_newest_version_that_both_sides_know_is_taken(
    ranges: dict[int, tuple[int, int]], newest: int, expected: int
):
    assert choose_version(ranges, ApiKey.FETCH, newest=newest) == expected


@pytest.mark.parametrize("ranges", [{}, {ApiKey.OFFSET_FETCH: (1, 7)}])
def test_no_common_version_says_what_each_side_speaks(ranges: dict[int, tuple[int, int]]):
    with pytest.raises(ProtocolError, match="OFFSET_FETCH") as caught:
        choose_version(ranges, ApiKey.OFFSET_FETCH)

    assert caught.value.code is ErrorCode.UNSUPPORTED_VERSION
