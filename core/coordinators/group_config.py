"""The settings that the group coordinator reads; the broker's config has them, with their Kafka names and bounds. Pure.

Source: GroupCoordinatorConfig of Kafka 4.3.1.
"""

from typing import Protocol

NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60_000
"""A new member whose JoinGroup waits has no session yet; it is dropped after this. Kafka's constant."""


class GroupConfig(Protocol):
    """Bounds and delays of the classic group protocol, and how long offsets are kept."""

    @property
    def group_min_session_timeout_ms(self) -> int: ...
    @property
    def group_max_session_timeout_ms(self) -> int: ...
    @property
    def group_initial_rebalance_delay_ms(self) -> int: ...
    @property
    def group_max_size(self) -> int: ...
    @property
    def offset_metadata_max_bytes(self) -> int: ...
    @property
    def offsets_retention_minutes(self) -> int: ...
