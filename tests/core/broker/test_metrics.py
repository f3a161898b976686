"""What is counted of requests and how it is shown: held against Prometheus' own parser and against exact quantiles."""

import logging
from typing import Any

import pytest
from core.broker.running import batch_of, fetch, produce
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from millstream.core.broker.context import RequestContext
from millstream.core.broker.failures import NO_ANSWER
from millstream.core.broker.monitoring.durations import WINDOW_S, Durations
from millstream.core.broker.monitoring.exposition import Exposition
from millstream.core.broker.monitoring.metrics import Metrics
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitResponse
from millstream.core.wire.messages.k11_join_group import JoinGroupResponse


class Stopwatch:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def counted(
    metrics: Metrics, watch: Stopwatch, request: Any, response: Any, version: int, took_s: float = 0.01
) -> None:
    api_key = getattr(request, "API_KEY", request)
    observed = metrics.begin(RequestContext(api_key, version, "client", "10.0.0.9"), request)
    watch.now_s += took_s
    metrics.end(observed, response)


def produced(*codes: int) -> ProduceResponse:
    parts = [ProduceResponse.PartitionProduceResponse(index=index, error_code=code) for index, code in enumerate(codes)]
    return ProduceResponse(responses=[ProduceResponse.TopicProduceResponse(name="t", partition_responses=parts)])


def test_produces_are_counted_by_topic_and_what_was_refused_apart() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None)
    good, bad = batch_of(b"a", b"b", b"c"), batch_of(b"d")

    counted(metrics, watch, produce("t", good, bad), produced(0, 87), 9)
    counted(metrics, watch, produce("t", good, acks=0), None, 9)
    counted(metrics, watch, produce("t", bad, acks=0), NO_ANSWER, 9)

    topic = metrics.topics["t"]
    assert (topic.messages_in, topic.bytes_in, topic.bytes_rejected) == (6, 2 * len(good), 2 * len(bad))
    assert (topic.produces, topic.failed_produces) == (4, 2)
    assert metrics.requests[0].versions == {9: 3}
    assert metrics.requests[0].errors == {0: 2, 87: 1, -1: 1}


def test_whoever_asks_for_topics_that_are_not_there_makes_no_counters_of_theirs() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None)
    unknown = FetchResponse.PartitionData(error_code=3)
    for number in range(50):
        counted(metrics, watch, produce(f"none-{number}", batch_of(b"a")), produced(3), 9)
        counted(metrics, watch, produce(f"none-{number}", batch_of(b"a"), acks=0), NO_ANSWER, 9)
        answer = FetchResponse.FetchableTopicResponse(topic=f"none-{number}", partitions=[unknown])
        counted(metrics, watch, fetch(f"none-{number}", 0), FetchResponse(responses=[answer]), 12)

    assert list(metrics.topics) == [""]
    assert (metrics.topics[""].failed_produces, metrics.topics[""].failed_fetches) == (100, 50)


def test_a_deleted_topic_has_no_counters_any_more() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None)
    counted(metrics, watch, produce("t", batch_of(b"a")), produced(0), 9)

    metrics.forget("t")
    metrics.forget("t")

    assert metrics.topics == {}


def test_fetches_count_the_bytes_that_go_out_under_the_name_of_the_topic_also_where_ids_are_used() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, {b"i" * 16: "t"}.get)
    parts = [
        FetchResponse.PartitionData(partition_index=0, records=[memoryview(b"12345"), b"678"]),
        FetchResponse.PartitionData(partition_index=1, records=None),
        FetchResponse.PartitionData(partition_index=2, error_code=1),
    ]
    answers = [
        FetchResponse.FetchableTopicResponse(topic_id=b"i" * 16, partitions=parts),
        FetchResponse.FetchableTopicResponse(topic_id=b"j" * 16, partitions=parts[2:]),
    ]

    counted(metrics, watch, fetch("", 0, 0, 0), FetchResponse(responses=answers), 13)

    topic = metrics.topics["t"]
    assert (topic.bytes_out, topic.fetches, topic.failed_fetches) == (8, 3, 1)
    assert metrics.requests[1].errors == {0: 2, 1: 2}


def test_commits_count_offsets_and_a_generation_counts_once() -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None)
    partition = OffsetCommitResponse.OffsetCommitResponsePartition
    parts = [partition(partition_index=0), partition(partition_index=1, error_code=12)]
    topics = [OffsetCommitResponse.OffsetCommitResponseTopic(name="t", partitions=parts)]

    counted(metrics, watch, 8, OffsetCommitResponse(topics=topics), 8)
    for member in ("a", "b", "c"):
        counted(metrics, watch, 11, JoinGroupResponse(leader="a", member_id=member), 5)

    assert (metrics.offset_commits, metrics.rebalances) == (1, 1)


def test_a_slow_request_is_logged_with_who_asked_but_not_a_wait_that_was_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Stopwatch()
    metrics = Metrics(watch, lambda _: None, slow_s=1.0)

    with caplog.at_level(logging.WARNING, "kafka.request.logger"):
        counted(metrics, watch, fetch("t", 0, max_wait_ms=5_000), FetchResponse(), 12, took_s=5.5)
        counted(metrics, watch, 11, JoinGroupResponse(), 5, took_s=60)
        assert caplog.messages == []
        counted(metrics, watch, produce("t", batch_of(b"a")), produced(0), 9, took_s=1.25)

    (message,) = caplog.messages
    assert "PRODUCE v9 of client 'client' at 10.0.0.9 took 1250 ms" in message.replace("Produce", "PRODUCE")


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.sampled_from((0.0, 0.5, 0.9, 0.99, 1.0)))
def test_a_quantile_is_at_most_a_quarter_above_the_exact_one(durations_us: list[int], quantile: float) -> None:
    durations = Durations()
    for duration in durations_us:
        durations.note(duration / 1e6 + 1e-9)

    (found_s,) = durations.quantiles_s([quantile], 0.0)

    rank = max(1, -int(-quantile * len(durations_us) // 1))
    exact = sorted(durations_us)[rank - 1]
    assert exact <= found_s * 1e6 + 1e-6
    assert found_s * 1e6 <= exact * 1.25 + 1


def test_quantiles_are_of_the_last_minutes_and_counts_of_all_time() -> None:
    durations = Durations()
    durations.note(1.0)
    seen = []
    for window in range(4):
        seen.append(durations.quantiles_s([0.5], window * WINDOW_S)[0] > 0)

    assert seen == [True, True, True, False]
    assert (durations.count, durations.total_s) == (1, 1.0)


def test_prometheus_reads_what_is_written() -> None:
    page = Exposition()
    page.family("a_total", "counter", "Of all.")
    page.sample("a_total", 3)
    page.sample("a_total", 2, {"topic": 'x"y\\z\n'})
    page.gauges([("b", "One.", 0.5)])

    families = {family.name: family for family in text_string_to_metric_families(page.page().decode())}

    assert families["a"].documentation == "Of all."
    assert [(one.labels, one.value) for one in families["a"].samples] == [({}, 3.0), ({"topic": 'x"y\\z\n'}, 2.0)]
    assert families["b"].samples[0].value == 0.5
