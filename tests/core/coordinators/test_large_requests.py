"""A request that names very many things costs as many look-ups, and not the square of that."""

from typing import ClassVar

from core.coordinators.test_cluster_metadata import new_metadata

from millstream.core.config import TOPIC_CONFIG
from millstream.core.coordinators.cluster_commands import (
    ConfigChange,
    ConfigOperation,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    MorePartitions,
    NewTopic,
)
from millstream.core.coordinators.config_changes import changed

COUNT = 300


class Name(str):
    """A text that counts how often it is compared with another."""

    __slots__ = ()
    compared: ClassVar[list[int]] = [0]

    def __eq__(self, other: object) -> bool:
        self.compared[0] += 1
        return str(self) == other

    __hash__ = str.__hash__


def compared_during(work: object) -> int:
    before = Name.compared[0]
    assert callable(work)
    work()
    return Name.compared[0] - before


def test_names_are_not_each_compared_with_all_others() -> None:
    metadata = new_metadata()
    names = [Name(f"t{number}") for number in range(COUNT)]
    creation = CreateTopics([(NewTopic(name), name.encode().ljust(16, b".")) for name in names])
    for record in metadata.decide(creation).records:
        metadata.apply(record)
    changes = [ConfigChange(name, ConfigOperation.SET, "1") for name in names]
    growth = CreatePartitions([MorePartitions(name, 9) for name in names])

    for work in (
        lambda: metadata.decide(creation),
        lambda: metadata.decide(DeleteTopics(names)),
        lambda: metadata.decide(growth),
        lambda: changed({}, changes, TOPIC_CONFIG.fields, replace=False),
    ):
        assert compared_during(work) < 20 * COUNT
