"""What connect-standalone is given works: a worker's .properties file, and connectors in .properties and JSON."""

from pathlib import Path

import pytest

from millstream.cli.discovery import find_connectors, find_in_folder
from millstream.connect.worker.properties import read_properties, worker_file
from millstream.core.errors import ConfigError

# config/connect-standalone.properties of Apache Kafka 4.3.1, its comments left out.
STANDALONE = """
bootstrap.servers=localhost:9092
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=true
value.converter.schemas.enable=true
offset.storage.file.filename=/tmp/connect.offsets
offset.flush.interval.ms=10000
#plugin.path=/usr/local/share/java,
"""
FILE_SOURCE = (
    "name=local-file-source\nconnector.class=FileStreamSource\ntasks.max=1\nfile=test.txt\ntopic=connect-test\n"
)
LAKE = '{"name": "lake", "connector.class": "filesystem", "topics": "connect-test", "store.url": "lake"%s}'


def test_a_java_properties_file_is_read_as_java_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.properties"
    path.write_text("# c\n! c\n\na=1\n b : 2 \nc 3\nd=x=y:z\ne=one,\\\n   two\nf=\ng\\:h=i\\=j\n")

    found = read_properties(path)

    assert found == {"a": "1", "b": "2", "c": "3", "d": "x=y:z", "e": "one,two", "f": "", "g:h": "i=j"}
    path.write_text("a=1\n=2\n")
    with pytest.raises(ConfigError, match=r"a\.properties:2: '=2': a setting is written key=value"):
        read_properties(path)


def test_kafka_s_own_example_of_a_worker_and_a_connector_works(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("worker.properties", "source.properties", "lake.json")]
    for path, text in zip(paths, (STANDALONE, FILE_SOURCE, LAKE % ""), strict=True):
        path.write_text(text)

    found = find_connectors(paths, named=True)

    assert found.worker is not None
    assert (found.worker.servers, found.worker.config.offset_storage_topic) == ("localhost:9092", "connect-offsets")
    source, lake = found.deployments
    assert source.values["file"] == str(tmp_path / "test.txt")
    assert source.values["value.converter"] is None
    assert lake.values["value.converter"] == "org.apache.kafka.connect.json.JsonConverter"
    assert lake.values["value.converter.schemas.enable"] == "true"
    assert [warning.partition(":")[0] for warning in found.worker.warnings] == [
        "offset.storage.file.filename",
        "offset.flush.interval.ms",
    ]


def test_a_folder_takes_the_same_files_and_leaves_other_properties_alone(tmp_path: Path) -> None:
    (tmp_path / "worker.properties").write_text(STANDALONE)
    (tmp_path / "source.properties").write_text(FILE_SOURCE)
    (tmp_path / "log4j.properties").write_text("log4j.rootLogger=INFO\n")

    found = find_in_folder(tmp_path)

    assert [one.name for one in found.deployments] == ["local-file-source"]
    assert found.worker is not None


def test_a_connector_s_own_settings_count_over_the_worker_s() -> None:
    worker = worker_file(
        {
            "bootstrap.servers": "b:9092",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "consumer.fetch.min.bytes": "7",
            "producer.linger.ms": "3",
        },
        "w.properties",
    )

    full = worker.over({"value.converter": "string", "producer.override.linger.ms": "9"}, "sink")

    assert full == {
        "value.converter": "string",
        "consumer.override.fetch.min.bytes": "7",
        "producer.override.linger.ms": "9",
    }
    assert worker.over({}, "source") == {"producer.override.linger.ms": "3"}


def test_security_that_stands_there_three_times_is_the_connection_s() -> None:
    security = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u"}
    values = {f"{prefix}{key}": value for prefix in ("", "producer.", "consumer.") for key, value in security.items()}

    worker = worker_file({"bootstrap.servers": "b:9092"} | values, "w.properties")

    assert (worker.client, worker.defaults, worker.warnings) == (security, {}, ())


def test_worker_settings_reach_the_worker_and_faults_are_all_named() -> None:
    good = {"bootstrap.servers": "b:9092", "group.id": "mine", "offset.storage.topic": "positions"}

    assert worker_file(good, "w").config.group_id == "mine"
    with pytest.raises(ConfigError) as caught:
        worker_file(
            good
            | {
                "offset.storage.partitions": "none",
                "offset.storage.topik": "x",
                "config.providers": "env",
                "security.protocol": "SSH",
            },
            "w",
        )
    wrong = ["config.providers='env'", "did you mean offset.storage.topic", "offset.storage.partitions='none'"]
    for words in [*wrong, "security.protocol='SSH'"]:
        assert any(fault.startswith("w: ") and words in fault for fault in caught.value.faults), caught.value.faults


def test_two_workers_or_no_connector_are_faults(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.properties").write_text(STANDALONE)

    with pytest.raises(ConfigError, match="two files of a worker"):
        find_connectors(sorted(tmp_path.glob("*.properties")), named=True)
