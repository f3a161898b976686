"""Settings of a run, all faults at once; and where a bounded run ends."""

import pyarrow as pa
import pytest

from millstream.core.errors import ConfigError
from millstream.core.records import RECORDS_SCHEMA, Records
from millstream.streams.config import streams_config
from millstream.streams.progress import Ends


def test_settings_have_kafkas_names_and_pass_prefixed_ones_on() -> None:
    config = streams_config({"commit.interval.ms": "50", "process.id": "b", "producer.compression.type": "lz4"})

    assert (config.commit_interval_ms, config.consumer_config("app").group_instance_id) == (50, "app-b")
    assert config.producer_config("app").compression_type == "lz4"
    assert config.producer_config("app").transactional_id == "app-b"


def test_all_faults_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        streams_config({"commit.intervall.ms": 5, "max.idle.ms": 0, "consumer.fetch.max.wait.ms": "soon"})

    text = str(caught.value)
    assert "did you mean commit.interval.ms?" in text
    assert "max.idle.ms" in text
    assert "fetch.max.wait.ms" in text


def test_settings_on_which_exactly_once_stands_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        streams_config({"consumer.isolation.level": "read_uncommitted", "producer.transactional.id": "mine"})

    assert list(caught.value.faults) == [
        "streams: consumer.isolation.level='read_uncommitted' cannot be set: only what is committed is processed",
        "streams: producer.transactional.id='mine' cannot be set: it follows from the name of the topology and "
        "process.id",
    ]


def records(offsets: list[int]) -> Records:
    rows = [{"offset": offset, "timestamp": 0, "key": None, "value": b"", "headers": []} for offset in offsets]
    return Records("t", 0, 0, pa.RecordBatch.from_pylist(rows, schema=RECORDS_SCHEMA))


def test_records_from_the_end_on_are_cut() -> None:
    ends = Ends({("t", 0): 7, ("t", 1): 0})

    assert ends.clip(records([4, 6, 7, 9])).columns.column("offset").to_pylist() == [4, 6]
    assert ends.clip(records([4, 6])).num_rows == 2
    assert ends.reached({("t", 0): 7})
    assert not ends.all_reached({("t", 1): 5})
    assert ends.left({("t", 0): 3}) == 4
