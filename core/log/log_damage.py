"""What of a log is lost to damage: reported, kept where it is, never served. Pure.

Tested in tests/core/log/test_loading.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogDamage:
    """Bytes of a log that are no good batches. Offsets from first_offset up to next_offset, exclusive, are lost."""

    segment_base_offset: int
    position: int
    end_position: int
    first_offset: int
    next_offset: int
    cause: str
