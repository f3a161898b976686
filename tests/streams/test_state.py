"""Keys, multisets and changelogs: what is stored comes back, and depends on the values alone."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

import millstream as ms
from millstream import agg
from millstream.core.errors import PlanError
from millstream.core.records import RECORDS_SCHEMA, Records
from millstream.streams.aggregates import Aggregate
from millstream.streams.ops import key_table
from millstream.streams.ops.buffers import binary_array
from millstream.streams.ops.key_table import KeyTable
from millstream.streams.ops.multiset_table import DISTINCT, QUANTILE, MultisetTable
from millstream.streams.ops.row_keys import decode_rows, encode_rows
from millstream.streams.state.changelog import PROGRESS_KEY, WATERMARK_KEY
from millstream.streams.state.spec import StoreSpec
from millstream.streams.state.store import AggregateStore
from millstream.streams.testing import TopologyDriver
from millstream.streams.windows import Window

texts = st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=60)
KINDS = [pa.string(), pa.large_string(), pa.int64(), pa.int16(), pa.bool_(), pa.timestamp("us", "UTC"), pa.date32()]


@settings(max_examples=some(60))
@given(texts, st.randoms(use_true_random=False))
def test_row_keys_come_back_as_they_were(words: list[str | None], choice: random.Random) -> None:
    numbers = [choice.choice([None, choice.randint(-100, 100)]) for _ in words]
    flags = [choice.choice([None, True, False]) for _ in words]
    columns = [pa.array(words, pa.string()), pa.array(numbers, pa.int64()), pa.array(flags, pa.bool_())]

    offsets, data = encode_rows(columns, len(words))

    assert decode_rows(offsets, data, [column.type for column in columns]) == columns


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_that_groups_comes_back(kind: pa.DataType) -> None:
    column = pa.array([1, None, 0], pa.int32() if pa.types.is_date32(kind) else pa.int64()).cast(kind)
    table = KeyTable([kind])
    assert table.columns(table.intern([column], 3)) == [column]


@settings(max_examples=some(60))
@given(texts, st.integers(1, 10))
def test_ids_count_up_in_the_order_of_first_appearance_whatever_the_batches(words: list[str | None], cut: int) -> None:
    table = KeyTable([pa.string()], seed=9)

    ids = [table.intern([pa.array(words[at : at + cut], pa.string())], len(words[at : at + cut])) for at in
           range(0, len(words), cut)]  # fmt: skip

    order: dict[str | None, int] = {}
    assert np.concatenate(ids).tolist() == [order.setdefault(word, len(order)) for word in words]


def test_keys_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_table, "hash_text", lambda *_: None)
    table = KeyTable([pa.string()])
    words = pa.array([f"w{index % 700}" for index in range(2000)])

    ids = table.intern([words], 2000)

    assert len(table) == 700
    assert table.columns(ids) == [words]


def test_damaged_keys_are_refused() -> None:
    offsets, data = encode_rows([pa.array(["abc", "d"])], 2)
    for end in range(int(offsets[-1])):
        with pytest.raises(ValueError, match=r"damaged|does not hold"):
            decode_rows(np.array([0, end]), data[:end], [pa.string(), pa.int64()])


@settings(max_examples=some(50))
@given(st.lists(st.integers(0, 60), max_size=120), st.integers(1, 40), st.sampled_from([QUANTILE, DISTINCT]))
def test_a_multiset_depends_on_its_values_only(values: list[int], cut: int, kind: int) -> None:
    """In one go, and in pieces that are merged in another order."""
    values = [value << 50 for value in values]
    slots = np.zeros(len(values), np.int32)
    rows = np.arange(len(values), dtype=np.int32)
    whole, merged = MultisetTable(kind, 16, 1), MultisetTable(kind, 16, 1)
    whole.add(rows, slots, np.array(values, np.int64), np.zeros(0, np.uint8))

    pieces = [values[at : at + cut] for at in range(0, len(values), cut)]
    for piece in reversed(pieces):
        part = MultisetTable(kind, 16, 1)
        part.add(rows[: len(piece)], slots[: len(piece)], np.array(piece, np.int64), np.zeros(0, np.uint8))
        merged.merge(slots[:1], *part.encode(slots[:1]))

    one = np.zeros(1, np.int32)
    left, right = whole.entries(one), merged.entries(one)
    kept = 8 if left[3][0] and kind == DISTINCT else None
    assert left[3].tolist() == right[3].tolist()
    assert left[1][:kept].tolist() == right[1][:kept].tolist()
    if kind == QUANTILE:
        assert left[2].tolist() == right[2].tolist()


def test_large_quantiles_and_distinct_counts_are_within_their_stated_errors() -> None:
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.lognormal(3, 2, 50_000), -rng.lognormal(1, 1, 5_000), np.zeros(100)])
    names = pa.array([f"user-{index}" for index in rng.integers(0, 30_000, values.size)])
    columns = pa.record_batch({"k": pa.array(["x"] * values.size), "v": values, "u": names})
    quantiles = [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0]
    aggregates = {f"q{q}": Aggregate("quantile", "v", q) for q in quantiles} | {"users": Aggregate("distinct", "u")}
    store = AggregateStore(StoreSpec(columns.schema, ("k",), None, tuple(aggregates.items())))

    store.update(columns, np.arange(values.size), np.arange(values.size), 0)

    result = store.drain(on_close=False).results.to_pylist()[0]
    ordered = np.sort(values)
    for q in quantiles:
        exact = ordered[max(int(np.ceil(q * values.size)) - 1, 0)]
        assert abs(result[f"q{q}"] - exact) <= 0.004 * abs(exact), q
    different = len(set(names.to_pylist()))
    assert abs(result["users"] - different) <= 3 * 0.022 * different


def test_sums_of_floats_do_not_depend_on_order_or_merging() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 1e8, 20_000) * 10.0 ** rng.integers(-12, 12, 20_000)
    results = []
    for seed in range(4):
        shuffled = np.random.default_rng(seed).permutation(values)
        spec = StoreSpec(pa.schema([("k", pa.string()), ("v", pa.float64())]), ("k",), Window(10, 10),
                         (("total", Aggregate("sum", "v")),))  # fmt: skip
        whole = AggregateStore(spec)
        for part in np.array_split(shuffled, seed * 7 + 1):
            store = AggregateStore(spec)
            columns = pa.record_batch({"k": pa.array(["x"] * part.size), "v": part})
            store.update(columns, np.zeros(part.size, np.int64), np.arange(part.size), 0)
            whole.merge(store.drain_partials())
        results += whole.drain(on_close=False).results.column("total").to_pylist()
    assert len(set(results)) == 1


def test_a_sum_that_leaves_64_bits_is_null() -> None:
    columns = pa.record_batch({"k": pa.array(["a", "a", "b"]), "v": pa.array([2**62, 2**62, 2**62])})
    store = AggregateStore(StoreSpec(columns.schema, ("k",), None, (("total", Aggregate("sum", "v")),)))

    store.update(columns, np.zeros(3, np.int64), np.arange(3), 0)

    assert store.drain(on_close=False).results.column("total").to_pylist() == [None, 2**62]


def test_quantiles_and_means_of_whole_numbers_beyond_what_a_float_holds_do_not_stop_the_topology() -> None:
    values = [2**53 + 1, 2**63 - 1, -(2**63)]
    columns = pa.record_batch({"k": pa.array(["a", "b", "c"]), "v": pa.array(values)})
    aggregates = (("p50", Aggregate("quantile", "v", quantile=0.5)), ("mean", Aggregate("mean", "v")))
    store = AggregateStore(StoreSpec(columns.schema, ("k",), None, aggregates))

    store.update(columns, np.zeros(3, np.int64), np.arange(3), 0)

    results = store.drain(on_close=False).results
    assert results.column("p50").to_pylist() == results.column("mean").to_pylist() == [float(one) for one in values]


def test_closed_windows_leave_neither_slots_nor_keys_behind() -> None:
    schema = pa.schema([("k", pa.int64()), ("v", pa.int64())])
    aggregates = (("n", Aggregate("distinct", "v")), ("f", Aggregate("first", "v")))
    store = AggregateStore(StoreSpec(schema, ("k",), Window(1_000, 1_000), aggregates))
    sizes = []

    for at in range(0, 200_000, 4_000):
        times = np.arange(at, at + 4_000)
        columns = pa.record_batch({"k": pa.array(times), "v": pa.array(times)})
        store.update(columns, times, times, 0)
        assert store.drain(on_close=True).results.num_rows == (4_000 if at else 3_000)
        sizes.append((store.slots.capacity, len(store._keys)))

    assert max(size for size, _ in sizes) <= 8_192
    assert max(keys for _, keys in sizes) <= 16_384
    assert all(after[0] >= before[0] for before, after in pairwise(sizes))


def test_bytes_beyond_what_offsets_count_are_refused_instead_of_read_elsewhere() -> None:
    with pytest.raises(ValueError, match=r"a column of 2147483648 bytes: binary holds 2147483647"):
        binary_array(np.array([0, 2**31]), np.zeros(0, np.uint8))


def changed_plan(kind: type = int, **aggregates: Aggregate) -> TopologyDriver:
    """kind: of the column v."""
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"k": str, "v": kind}), partitioned_by=["k"])
    rows.group_by("k").window(ms.tumbling(10)).aggregate(**aggregates).to("out")
    return TopologyDriver(topology.plan)


def test_state_of_another_plan_is_refused_with_the_remedy() -> None:
    old, new = changed_plan(n=agg.count()), changed_plan(n=agg.count(), v=agg.sum("v"))
    old.pipe("in", ['{"k":"a","v":1}'])
    new._topics = old._topics

    with pytest.raises(PlanError, match=r"app-.*-changelog.*new name.*reset the offsets of group 'app'"):
        new.restart()


def test_state_of_a_column_of_another_type_is_told_as_that_and_not_as_damage() -> None:
    """Its records were read as those of the new type first: key 0 was damaged, and ended inside a column."""
    old, new = changed_plan(int, total=agg.sum("v")), changed_plan(float, total=agg.sum("v"))
    old.pipe("in", ['{"k":"a","v":1}'])
    [changelog] = [place for place in old._topics if place[0].endswith("-changelog")]
    fetched = pa.Table.from_batches([records.columns for records in old._topics[changelog]]).combine_chunks()
    stage = next(iter(new._tasks["in", 0].stages.values()))

    with pytest.raises(PlanError, match="its state is of another group, window or aggregates, or their types; give"):
        stage.restore(Records(*changelog, 0, fetched.to_batches()[0]))


def test_records_that_are_no_changelog_are_refused() -> None:
    driver = changed_plan(n=agg.count())
    stage = next(iter(driver._tasks["in", 0].stages.values()))
    driver.pipe("in", ['{"k":"a","v":1}'])
    place = ("app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog", 0)
    records = driver._topics[place][0]
    shorter = binary_array(np.array([0, 3]), np.array([1, 1, 1], np.uint8))
    columns = records.columns.set_column(2, "key", shorter)

    with pytest.raises(PlanError, match="do not fit"):
        stage.restore(type(records)(*place, 0, columns))


FOREIGN = {
    "no key": (None, b"x"),
    "no value": (PROGRESS_KEY, None),
    "no JSON": (PROGRESS_KEY, b"?"),
    "another format": (PROGRESS_KEY, b'{"fingerprint":"","offset":1,"stream_time_ms":1,"format":9}'),
    "no window": (b"?", b"?"),
}


@pytest.mark.parametrize(("key", "value"), FOREIGN.values(), ids=FOREIGN)
def test_what_another_program_wrote_to_a_changelog_is_told_with_the_topic_and_the_remedy(
    key: bytes | None, value: bytes | None
) -> None:
    stage = next(iter(changed_plan(n=agg.count())._tasks["in", 0].stages.values()))

    with pytest.raises(PlanError, match=r"topic 'changes': its records do not fit: .*reset the offsets of group 'app'"):
        stage.restore(one_record("changes", key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"x"),
        (WATERMARK_KEY, None),
        (WATERMARK_KEY, b'{"partition":0,"stream_time_ms":5,"idle":false,"format":9}'),
        (b"?", b"?"),
    ],
)
def test_what_another_program_wrote_to_a_repartition_topic_is_told_too(key: bytes | None, value: bytes | None) -> None:
    topology = ms.Topology("app")
    rows = topology.stream("in", value=ms.json({"k": str}))
    rows.group_by("k").aggregate(store="s", n=agg.count()).to("out")
    driver = TopologyDriver(topology.plan, partitions={"in": 2})

    with pytest.raises(PlanError, match=r"topic 'app-s-repartition': its records do not fit: .*'app-s-changelog' and"):
        driver.pipe_records(one_record("app-s-repartition", key, value))


def one_record(topic: str, key: bytes | None, value: bytes | None) -> Records:
    row = {"offset": 0, "timestamp": 0, "key": key, "value": value, "headers": []}
    return Records(topic, 0, 0, pa.RecordBatch.from_pylist([row], schema=RECORDS_SCHEMA))
