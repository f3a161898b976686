"""Settings: typed by Kafka's names, all faults told at once."""

import pytest

from millstream.core.config import LONG_MAX, TOPIC_CONFIG, ConfigError, LogConfig


def test_defaults_are_those_of_kafka() -> None:
    config = TOPIC_CONFIG.parse({})

    assert config == LogConfig()
    assert config.segment_bytes == 1 << 30
    assert config.retention_ms == 7 * 24 * 3600 * 1000
    assert config.max_message_bytes == 1_048_588
    assert config.cleanup_policy == ("delete",)
    assert config.flush_messages == LONG_MAX


def test_texts_numbers_and_booleans_are_taken() -> None:
    config = TOPIC_CONFIG.parse(
        {"segment.bytes": "1048576", "retention.ms": -1, "preallocate": "TRUE", "min.cleanable.dirty.ratio": "0.1"}
    )

    assert config == LogConfig(segment_bytes=1048576, retention_ms=-1, preallocate=True, min_cleanable_dirty_ratio=0.1)


def test_a_list_is_split_at_commas_and_its_parts_are_checked() -> None:
    config = TOPIC_CONFIG.parse({"cleanup.policy": "compact, delete"})

    assert (config.cleanup_policy, config.compacted, config.deleted) == (("compact", "delete"), True, True)


def test_all_faults_are_told_together_with_value_and_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        TOPIC_CONFIG.parse(
            {"segment.byte": "1", "retention.ms": "x", "preallocate": "maybe", "cleanup.policy": "keep", "zzz": "1"}
        )

    assert caught.value.faults == (
        "topic: segment.byte is not a setting; did you mean segment.bytes?",
        "topic: retention.ms='x': must be a whole number at least -1 (ms)",
        "topic: preallocate='maybe': must be true or false",
        "topic: cleanup.policy='keep': must be one of delete, compact",
        "topic: zzz is not a setting",
    )


def test_values_out_of_bounds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"segment.bytes='100': must be a whole number at least 1048576"):
        TOPIC_CONFIG.parse({"segment.bytes": "100"})


@pytest.mark.parametrize(
    "value", [True, 1.5, None, "", "1e3", "1_000", "\u0661\u0662", float("inf"), 1 << 63, "9" * 5000]
)
def test_what_is_no_whole_number_of_64_bits_is_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        TOPIC_CONFIG.parse({"retention.ms": value})


@pytest.mark.parametrize("value", [True, None, "", "nan", float("nan"), "0_1"])
def test_what_is_no_number_is_refused(value: object) -> None:
    """No bound holds back what is not a number: a topic would never have been dirty enough to be cleaned."""
    with pytest.raises(ConfigError):
        TOPIC_CONFIG.parse({"min.cleanable.dirty.ratio": value})


def test_settings_are_written_back_as_kafka_writes_them() -> None:
    texts = TOPIC_CONFIG.texts(LogConfig(cleanup_policy=("compact", "delete"), preallocate=True))

    assert texts["cleanup.policy"] == "compact,delete"
    assert texts["preallocate"] == "true"
    assert texts["retention.ms"] == "604800000"
    assert TOPIC_CONFIG.parse(texts) == LogConfig(cleanup_policy=("compact", "delete"), preallocate=True)
