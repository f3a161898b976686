"""Settings from Kafka's file format, from the environment as its image reads it, and from flags over both."""

from millstream.core.broker.settings.config import parse_broker_config
from millstream.core.broker.settings.config_sources import Sources, settings_of_environment
from millstream.core.properties import parse_properties

A_REAL_FILE = """\
# The role of this server.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def test_the_file_that_comes_with_kafka_is_taken_as_it_is() -> None:
    config = parse_broker_config(parse_properties(A_REAL_FILE))

    assert config.log_dirs == "/tmp/kraft-combined-logs"
    assert [str(one) for one in config.bound_listeners] == ["PLAINTEXT://:9092"]
    assert config.advertised_address == ("localhost", 9092)
    assert config.given_topic_defaults == {"retention.ms": "604800000", "segment.bytes": "1073741824"}
    assert sum("num.io.threads" in note for note in config.notes) == 1


def test_variables_are_named_as_those_of_kafkas_image() -> None:
    variables = {
        "KAFKA_NUM_PARTITIONS": "6",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://b:1",
        "KAFKA_LISTENER_NAME_MY___KEY__X_SSL_KEYSTORE_TYPE": "PEM",
        "KAFKA_NUM_PARTITION": "7",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
        "KAFKA_BROKERS": "b:9092",
        "KAFKA_PORT_9092_TCP_ADDR": "10.0.0.1",
        "NUM_PARTITIONS": "8",
    }

    assert settings_of_environment(variables) == {
        "num.partitions": "6",
        "advertised.listeners": "PLAINTEXT://b:1",
        "listener.name.my-key_x.ssl.keystore.type": "PEM",
        "num.partition": "7",
    }


def test_flags_hold_over_the_environment_and_that_over_the_file() -> None:
    sources = Sources(
        file={"log.dir": "/file", "num.partitions": "1", "node.id": "1", "broker.id": "-1", "x": "1"},
        environment={"log.dirs": "/environment", "num.partitions": "2"},
        flags={"num.partitions": "3", "broker.id": "7"},
    )

    assert sources.merged() == {"log.dirs": "/environment", "num.partitions": "3", "node.id": "7", "x": "1"}
    assert "x" in sources.loose()
    assert "num.partitions" not in sources.loose()
