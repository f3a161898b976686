"""The names that a topology may use, as Kafka takes them. Pure; tests: tests/dsl/test_topology.py."""

import re

from ..core.errors import PlanError

APPLICATION_ID = re.compile(r"[a-zA-Z0-9._-]{1,200}")
TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def check_format(where: str, what: str, given: object) -> None:
    """Raises PlanError unless `given` is a format, which has a schema, decode() and encode()."""
    if not all(hasattr(given, name) for name in ("schema", "decode", "encode")):
        raise PlanError(
            f"{where}: {what}={given!r} is no format; use ms.json({{...}}), ms.text() or another, such as "
            f"ms.combined_log()"
        )


def check_topic(where: str, topic: str) -> None:
    """Raises PlanError unless `topic` is a name that Kafka takes."""
    if not isinstance(topic, str) or not TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise PlanError(f"{where}: {topic!r} is no topic name; use letters, digits, '.', '_' and '-', at most 249")
