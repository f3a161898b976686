"""A bounded run includes transactions that still look open when it asks where the end is."""

import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Producer
from faults.access_lines import access_lines, expected_windows
from faults.lakes import archived_lines, tables, windows_in
from faults.pipeline_runs import PipelineFolder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rows_whose_commit_is_on_its_way_are_not_left_out_of_a_bounded_run(tmp_path: Path, broker: str) -> None:
    """Kafka answers EndTxn before the markers are written: results vanished from the lake of a run right after it."""
    lines = access_lines()[:500]
    pipeline = PipelineFolder(tmp_path / "pipeline", str(tmp_path / "lake"), server=broker)
    producer = Producer({"bootstrap.servers": broker, "transactional.id": "other", "transaction.timeout.ms": 600_000})
    producer.init_transactions(60)
    producer.begin_transaction()
    for line in lines:
        producer.produce("access-logs", line)
    assert producer.flush(60) == 0

    up = pipeline.start("--to-end")
    with pytest.raises(subprocess.TimeoutExpired):
        up.process.wait(8)
    producer.commit_transaction(60)

    assert up.wait(240) == 0
    assert archived_lines(pipeline.lake) == lines
    assert windows_in(tables(pipeline.lake)) == expected_windows(lines)
