"""The names that a topology may use, as Kafka takes them. Pure; tests: tests/dsl/test_topology.py."""

import re

from ..core.errors import PlanError

APPLICATION_ID = re.compile(r"[a-zA-Z0-9._-]{1,200}")
TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def check_topic(where: str, topic: str) -> None:
    """Raises PlanError unless `topic` is a name that Kafka takes."""
    if not isinstance(topic, str) or not TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise PlanError(f"{where}: {topic!r} is no topic name; use letters, digits, '.', '_' and '-', at most 249")
