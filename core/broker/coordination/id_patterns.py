"""Transactional ids that a client's regular expression names, in time that grows with their length only. Pure.

In RE2, as Kafka (KIP-1152): Python's own engine can be kept busy for ever by a short pattern. pyarrow brings RE2, and
is loaded when the first client asks: the broker stays small until then. To be called in a thread.
Tested in tests/core/broker/test_id_patterns.py.
"""

from collections.abc import Sequence

from ...errors import ErrorCode, ProtocolError


def matching(pattern: str, ids: Sequence[str]) -> list[bool]:
    """For each id whether all of it is what `pattern` says. Raises ProtocolError INVALID_REGULAR_EXPRESSION."""
    import pyarrow
    from pyarrow.compute import match_substring_regex

    try:
        # On its own first, and with a text, as nothing is looked at without one: 'a)|(b' is no pattern, in brackets it
        # would be.
        match_substring_regex(pyarrow.array([""]), pattern)
        found = match_substring_regex(pyarrow.array(ids, pyarrow.string()), rf"\A(?:{_closed(pattern)})\z")
    except pyarrow.ArrowInvalid as error:
        raise ProtocolError(ErrorCode.INVALID_REGULAR_EXPRESSION, f"{pattern!r}: {error}") from error
    return [bool(one) for one in found.to_pylist()]


def _closed(pattern: str) -> str:
    r"""With the \E that a \Q may lack: it would quote what is written behind the pattern."""
    at = 0
    while (at := pattern.find("\\", at)) >= 0:
        if pattern.startswith(r"\Q", at):
            end = pattern.find(r"\E", at + 2)
            if end < 0:
                return pattern + r"\E"
            at = end
        at += 2
    return pattern
