"""The client of one cluster: its consumers, producers and admin. Shell; what they ask through: link.py.

Tests: tests/core/client/test_client.py.
"""

from typing import TYPE_CHECKING

from .config import ConsumerConfig, ProducerConfig
from .link import ClusterLink

if TYPE_CHECKING:
    from .administration.admin import Admin
    from .consuming.consumer import Consumer
    from .producing.producer import Producer


class Client(ClusterLink):
    """`async with Client(config, transport) as client:` connects; leaving it closes every connection."""

    def consumer(self, config: ConsumerConfig) -> "Consumer":
        """A consumer on this client's cluster; use it with `async with`."""
        from .consuming.consumer import Consumer

        return Consumer(self, config)

    def producer(self, config: ProducerConfig) -> "Producer":
        """A producer on this client's cluster; use it with `async with`."""
        from .producing.producer import Producer

        return Producer(self, config)

    @property
    def admin(self) -> "Admin":
        from .administration.admin import Admin

        return Admin(self)
