"""kill -9 of a broker that takes snapshots of its metadata again and again: what admins were told holds."""

from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic
from services.millstream import MillstreamBroker

KILLS = 4
NAMES = [f"t{number}" for number in range(20)]
SETTINGS = {
    "metadata.log.max.record.bytes.between.snapshots": 1500,
    "metadata.max.retention.bytes": 0,
    "log.retention.check.interval.ms": 100,
}


def values(admin: AdminClient) -> dict[str, str]:
    """retention.ms of each topic."""
    asked = admin.describe_configs([ConfigResource(2, name) for name in NAMES])
    return {resource.name: future.result(90)["retention.ms"].value for resource, future in asked.items()}


@pytest.mark.slow
def test_topics_and_settings_that_were_answered_are_there_after_kills_between_snapshots(tmp_path: Path) -> None:
    options = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    server = MillstreamBroker(tmp_path, options=options)
    server.start()
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(name, 1, 1) for name in [*NAMES, "round-0"]]).values():
        future.result(90)
    known = values(admin)
    for number in range(1, KILLS + 1):
        admin.create_topics([NewTopic(f"round-{number}", 1, 1)])[f"round-{number}"].result(90)
        admin.delete_topics([f"round-{number - 1}"])[f"round-{number - 1}"].result(90)
        wanted = {name: str(number * 1_000_000 + place) for place, name in enumerate(NAMES)}
        asked = {}
        for name, value in wanted.items():
            entry = ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(2, name, incremental_configs=[entry])
            asked[name] = admin.incremental_alter_configs([resource])[resource]
        wait([asked[NAMES[number * 3]]], 90, FIRST_COMPLETED)
        server.kill()
        answered = [name for name, future in asked.items() if future.done() and future.exception() is None]
        server.start()

        found = values(admin)
        assert answered
        assert {name: found[name] for name in answered} == {name: wanted[name] for name in answered}
        assert all(found[name] in (known[name], wanted[name]) for name in NAMES)
        listed = {name for name in admin.list_topics(timeout=90).topics if not name.startswith("__")}
        assert listed == {*NAMES, f"round-{number}"}
        known = found
    server.stop()
    folder = tmp_path / "data" / "__cluster_metadata-0"
    assert list(folder.glob("*.checkpoint"))
    assert "damaged" not in (tmp_path / "broker.log").read_text()
