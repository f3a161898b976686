"""A plan while it is written: its nodes in the order of the steps, their names, and the user's line that made each.

Tests: tests/dsl/test_topology.py, test_type_errors.py.
"""

import inspect

from ..core.errors import PlanError
from ..streams.naming import Counter
from ..streams.plan import Aggregation, Node, Plan

PACKAGE = __name__.partition(".")[0] + "."


class PlanBuilder:
    """What the streams of one topology share. name: of the topology."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counter = Counter()
        self._nodes: dict[str, Node] = {}
        self._made_at: dict[str, tuple[str, int]] = {}

    def plan(self) -> Plan:
        """The finished plan. Raises PlanError, with the user's line, when a stream leads nowhere."""
        try:
            return Plan(self.name, tuple(self._nodes.values()))
        except PlanError as error:
            error.made_at = self._made_at.get(error.node)
            raise

    def new_name(self, prefix: str) -> str:
        """The next name with this prefix."""
        return self._counter.name(prefix)

    def add(self, node: Node) -> None:
        """Adds a node, or replaces the one of its name."""
        self._nodes[node.name] = node
        self._made_at.setdefault(node.name, _users_line())

    def node(self, name: str) -> Node:
        return self._nodes[name]

    def store_names(self) -> set[str]:
        """The stores so far."""
        return {node.store for node in self._nodes.values() if isinstance(node, Aggregation)}


def _users_line() -> tuple[str, int]:
    """The file and line outside this package that is being run; it is what a user wrote."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(PACKAGE):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)
