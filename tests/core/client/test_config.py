import pytest

from millstream.core.client.config import client_config, consumer_config, parse_address, producer_config
from millstream.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [("h", ("h", 9092)), ("h:1", ("h", 1)), ("[::1]:2", ("::1", 2)), ("[::1]", ("::1", 9092)), (" h:3 ", ("h", 3))],
)
def test_addresses(text: str, address: tuple[str, int]):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":1", "h:", "h:0", "h:70000", "h:x", "h:\u00b2", "[::1", "[::1]2", "::1"])
def test_a_wrong_address_is_shown(text: str):
    with pytest.raises(ConfigError, match="must be host:port"):
        parse_address(text)


def test_all_faults_of_client_and_security_come_together():
    with pytest.raises(ConfigError) as caught:
        client_config({"bootstrap.servers": "h:x", "security.protocol": "TLS", "client.idd": "x"})

    assert len(caught.value.faults) == 2  # The address is checked once the settings can be parsed.
    assert "did you mean client.id?" in str(caught.value)
    assert "security.protocol='TLS'" in str(caught.value)


def test_each_wrong_address_is_named():
    with pytest.raises(ConfigError) as caught:
        client_config({"bootstrap.servers": "a:1,h:x,:2"})

    assert [fault.partition(": must be")[0] for fault in caught.value.faults] == [
        "client: bootstrap.servers='h:x'",
        "client: bootstrap.servers=':2'",
    ]


def test_security_settings_stand_beside_the_others():
    config = client_config({"bootstrap.servers": "a:1,b:2", "security.protocol": "SASL_PLAINTEXT"})

    assert config.bootstrap_servers == (("a", 1), ("b", 2))
    assert config.security.sasl_mechanism == "PLAIN"
    assert client_config({}).security.sasl_mechanism is None


def test_a_heartbeat_must_be_quicker_than_the_session():
    with pytest.raises(ConfigError, match=r"heartbeat\.interval\.ms=9 must be below"):
        consumer_config({"heartbeat.interval.ms": 9, "session.timeout.ms": 9})


@pytest.mark.parametrize("acks", ["0", "1"])
def test_explicit_acks_turn_idempotence_off_unless_it_is_explicit_too(acks: str):
    assert not producer_config({"acks": acks}).idempotent
    with pytest.raises(ConfigError, match=r"needs acks=all"):
        producer_config({"acks": acks, "enable.idempotence": "true"})


@pytest.mark.parametrize(
    ("codec", "level", "allowed"),
    [
        ("gzip", 9, True),
        ("gzip", 10, False),
        ("gzip", -1, False),
        ("lz4", 17, True),
        ("lz4", -5, False),
        ("zstd", -131_072, True),
        ("zstd", 23, False),
        ("snappy", 1, False),
        ("none", 1, False),
    ],
)
def test_levels_are_held_against_their_codec(codec: str, level: int, allowed: bool):
    """They failed in the midst of the first send, or were not looked at."""
    values = {"compression.type": codec, "compression.level": level}
    if allowed:
        assert producer_config(values).compression_level == level
    else:
        with pytest.raises(ConfigError, match=rf"producer: compression\.level={level}.* compression\.type={codec}"):
            producer_config(values)


def test_transactions_need_idempotence():
    with pytest.raises(ConfigError, match=r"transactional\.id"):
        producer_config({"transactional.id": "t", "enable.idempotence": "false"})
