"""Names: did-you-mean, Kafka Streams' counters for nodes and stores, internal topics. Pure.

Source: InternalStreamsBuilder of Kafka 4.3.1 (one counter for nodes and stores, ten digits). Tests:
tests/streams/test_describe.py.
"""

import difflib
from collections.abc import Iterable


def choices(wrong: object, known: Iterable[str]) -> str:
    """`did you mean x?`, or the list of what there is."""
    names = list(known)
    near = difflib.get_close_matches(str(wrong), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "there are " + ", ".join(repr(name) for name in names) if names else "there are none"


class Counter:
    """Hands out names such as KSTREAM-FILTER-0000000001; nodes and stores share one count."""

    def __init__(self) -> None:
        self._next = 0

    def name(self, prefix: str) -> str:
        index = self._next
        self._next += 1
        return f"{prefix}{index:010d}"


def changelog_topic(application_id: str, store: str) -> str:
    return f"{application_id}-{store}-changelog"


def repartition_topic(application_id: str, name: str) -> str:
    return f"{application_id}-{name}-repartition"


def dead_letter_topic(application_id: str) -> str:
    return f"{application_id}-dead-letters"
