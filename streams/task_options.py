"""What the tasks of one run share. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .plan import Aggregation, Plan


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """partitions: how many each topic has that is read or is a repartition topic. seed: of hash tables; changes no
    result.

    bounded: nothing is late, and windows close when the run ends. incarnations: a number by which a topic is told from
    one that had its name before, 0 where there is none.
    """

    partitions: Mapping[str, int]
    dead_letter_topic: str
    bounded: bool = False
    seed: int = 0
    incarnations: Mapping[str, int] = field(default_factory=dict)

    def input_of(self, plan: Plan, node: Aggregation, *, merging: bool) -> int:
        """The incarnation of the topic from which an aggregate gets its rows."""
        topic = plan.repartition_topic(node) if merging else plan.source_of(node).topic
        return self.incarnations.get(topic, 0)

    def is_whole(self, plan: Plan, node: Aggregation) -> bool:
        """Whether an aggregate needs no repartition: by its plan, or as its source has a single partition."""
        return node.repartition is None or self.partitions[plan.source_of(node).topic] == 1

    def repartition_topics(self, plan: Plan) -> list[str]:
        """The repartition topics that are in use."""
        return [plan.repartition_topic(node) for node in plan.aggregations() if not self.is_whole(plan, node)]

    def input_topics(self, plan: Plan) -> list[str]:
        """The topics that a run reads: sources, and the repartition topics that are in use."""
        return [*(source.topic for source in plan.sources()), *self.repartition_topics(plan)]
