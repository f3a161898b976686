"""Transactions on a running broker: seen as a whole or not at all, also when it ends between any two steps."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from core.broker.failing_disk import FailingDisk
from core.broker.running import ask, running_broker
from core.broker.transactional import TransactionalProducer, committed_offset, state_of, visible

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode, StorageError
from millstream.core.ports import Clock, Disk, SystemClock
from millstream.core.wire.batches import iter_batches
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest

NONE = ErrorCode.NONE
SWEEP_QUICKLY = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 20}


class ShiftedClock(SystemClock):
    def __init__(self) -> None:
        self.shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.shift_ms


@asynccontextmanager
async def broker_with_logs(
    path: Path, settings: dict[str, object] | None = None, *, disk: Disk | None = None, clock: Clock | None = None
) -> AsyncIterator[Broker]:
    """A broker with topic `logs` of two partitions."""
    async with running_broker(path, settings, clock=clock, disk=disk) as broker:
        if broker.cluster.topic("logs") is None:
            await broker.cluster.create_topic("logs", 2, {})
        yield broker


async def until_state(broker: Broker, transactional_id: str, state: str) -> None:
    async with asyncio.timeout(60):
        while await state_of(broker, transactional_id) != state:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def open_transaction(broker: Broker, name: str = "payments") -> TransactionalProducer:
    """With one record in each partition."""
    producer = TransactionalProducer(broker, name)
    assert await producer.begin() is NONE
    assert await producer.add(("logs", 0), ("logs", 1)) == [NONE, NONE]
    for partition in (0, 1):
        assert await producer.send("logs", partition, b"%s-%d" % (name.encode(), partition)) is NONE
    return producer


@pytest.mark.parametrize("commit", [True, False])
async def test_records_are_seen_when_their_transaction_commits_and_never_when_it_aborts(tmp_path, commit):
    async with broker_with_logs(tmp_path) as broker:
        producer = await open_transaction(broker)
        before = await visible(broker, "logs", 2)

        assert await producer.end(commit=commit) is NONE

        assert before == [[], []]
        after = [[b"payments-0"], [b"payments-1"]] if commit else [[], []]
        assert await visible(broker, "logs", 2) == after
        assert await state_of(broker, "payments") == ("CompleteCommit" if commit else "CompleteAbort")


async def test_the_next_transaction_begins_as_soon_as_the_end_of_the_last_is_answered(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = await open_transaction(broker)
        for number in range(5):
            assert await producer.end(commit=number % 2 == 0) is NONE
            assert await producer.add(("logs", 0)) == [NONE]
            assert await producer.send("logs", 0, b"%d" % number) is NONE

        assert await visible(broker, "logs") == [[b"payments-0", b"1", b"3"]]


async def test_a_transaction_that_is_open_holds_back_what_comes_after_it(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        first = await open_transaction(broker, "first")
        second = await open_transaction(broker, "second")
        await second.end()
        while_open = await visible(broker, "logs")
        await first.end(commit=False)

        assert while_open == [[]]
        assert await visible(broker, "logs") == [[b"second-0"]]


async def test_a_client_that_is_gone_while_it_commits_has_committed(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = await open_transaction(broker)
        ending = asyncio.ensure_future(producer.end())
        await asyncio.sleep(0)
        ending.cancel()

        await until_state(broker, "payments", "CompleteCommit")
        assert await visible(broker, "logs", 2) == [[b"payments-0"], [b"payments-1"]]


async def test_offsets_of_a_group_count_when_the_transaction_commits(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = await open_transaction(broker)
        assert await producer.send_offset("readers", "logs", 7) == [0, 0]
        before = await committed_offset(broker, "readers", "logs")
        await producer.end()
        after = await committed_offset(broker, "readers", "logs")
        await producer.send_offset("readers", "logs", 9)
        await producer.end(commit=False)

        assert (before, after) == (-1, 7)
        assert await committed_offset(broker, "readers", "logs") == 7


async def test_a_topic_deleted_meanwhile_does_not_keep_a_transaction_from_committing(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        await broker.cluster.create_topic("doomed", 1, {})
        producer = await open_transaction(broker)
        await producer.add(("doomed", 0))
        await producer.send("doomed", 0, b"x")
        await broker.cluster.delete_topic("doomed")

        assert await producer.end() is NONE

        assert await visible(broker, "logs", 2) == [[b"payments-0"], [b"payments-1"]]
        assert await state_of(broker, "payments") == "CompleteCommit"


async def test_records_outside_of_the_transaction_are_refused_before_they_are_in_the_log(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = TransactionalProducer(broker, "payments")
        await producer.begin()

        assert await producer.send("logs", 0, b"x") is ErrorCode.INVALID_TXN_STATE

        assert broker.partition("logs", 0).end_offset == 0


async def test_a_transaction_whose_producer_is_silent_is_aborted_and_holds_nobody_back(tmp_path):
    clock = ShiftedClock()
    async with broker_with_logs(tmp_path, SWEEP_QUICKLY, clock=clock) as broker:
        producer = TransactionalProducer(broker, "payments")
        await producer.begin(timeout_ms=600_000)
        await producer.add(("logs", 0))
        assert await producer.send("logs", 0, b"late") is NONE
        clock.shift_ms += 600_001
        await until_state(broker, "payments", "CompleteAbort")

        assert await producer.end() is ErrorCode.PRODUCER_FENCED
        assert await producer.send("logs", 0, b"later") is ErrorCode.INVALID_PRODUCER_EPOCH
        assert broker.partition("logs", 0).last_stable_offset == 2
        assert await visible(broker, "logs") == [[]]


async def test_a_transaction_open_when_the_broker_ends_goes_on_after_it_starts_again(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = await open_transaction(broker)
    async with broker_with_logs(tmp_path) as broker:
        producer.broker = broker
        assert await state_of(broker, "payments") == "Ongoing"
        assert await producer.send("logs", 0, b"more") is NONE
        assert await producer.end() is NONE

        assert await visible(broker, "logs", 2) == [[b"payments-0", b"more"], [b"payments-1"]]


async def test_a_transaction_left_open_times_out_after_a_restart_too(tmp_path):
    async with broker_with_logs(tmp_path) as broker:
        producer = TransactionalProducer(broker, "payments")
        await producer.begin(timeout_ms=600_000)
        await producer.add(("logs", 0))
        assert await producer.send("logs", 0, b"late") is NONE
    clock = ShiftedClock()
    clock.shift_ms += 600_001
    async with broker_with_logs(tmp_path, SWEEP_QUICKLY, clock=clock) as broker:
        await until_state(broker, "payments", "CompleteAbort")

        assert broker.partition("logs", 0).last_stable_offset == 2


async def test_ids_that_are_not_used_are_forgotten_and_their_tombstones_hold(tmp_path):
    clock = ShiftedClock()
    settings = SWEEP_QUICKLY | {"transactional.id.expiration.ms": 3_600_000}
    async with running_broker(tmp_path, settings, clock=clock) as broker:
        await TransactionalProducer(broker, "payments").begin()
        clock.shift_ms += 3_700_000
        await until_state(broker, "payments", "TRANSACTIONAL_ID_NOT_FOUND")
    async with running_broker(tmp_path) as broker:
        assert await state_of(broker, "payments") == "TRANSACTIONAL_ID_NOT_FOUND"


async def test_many_ids_are_forgotten_a_few_at_a_time(tmp_path):
    """All at once they held up every client: each takes a record."""
    clock = ShiftedClock()
    settings = SWEEP_QUICKLY | {"transactional.id.expiration.ms": 3_600_000}
    async with running_broker(tmp_path, settings, clock=clock) as broker:
        await asyncio.gather(*(TransactionalProducer(broker, f"p{number}").begin() for number in range(450)))
        clock.shift_ms += 3_700_000
        known = []
        async with asyncio.timeout(60):
            while broker.transactions.all():
                known.append(len(broker.transactions.all()))
                await asyncio.sleep(0)

    assert sorted(set(known)) == [50, 250, 450]


async def test_the_topic_of_transactions_is_not_there_before_the_first_transactional_producer(tmp_path):
    async with running_broker(tmp_path) as broker:
        await ask(broker, CreateTopicsRequest(topics=[]), 7)
        before = broker.cluster.topic("__transaction_state")
        await TransactionalProducer(broker, "payments").begin()

        assert before is None
        assert broker.cluster.topic("__transaction_state") is not None


async def test_a_disk_that_is_full_for_a_while_delays_the_end_of_a_transaction_and_no_more(tmp_path):
    disk = FailingDisk("logs-1")
    async with broker_with_logs(tmp_path, SWEEP_QUICKLY, disk=disk) as broker:
        producer = await open_transaction(broker)
        disk.full = True
        assert await producer.end() is NONE
        in_between = await visible(broker, "logs", 2), await state_of(broker, "payments")
        disk.full = False
        await until_state(broker, "payments", "CompleteCommit")

        assert in_between == ([[b"payments-0"], []], "PrepareCommit")
        assert await visible(broker, "logs", 2) == [[b"payments-0"], [b"payments-1"]]


async def test_a_transaction_that_a_broken_disk_kept_from_its_end_is_ended_after_a_restart(tmp_path):
    disk = FailingDisk("logs-1")
    with pytest.raises(StorageError):  # noqa: PT012
        async with broker_with_logs(tmp_path, SWEEP_QUICKLY, disk=disk) as broker:
            producer = await open_transaction(broker)
            disk.broken = True
            assert await producer.end() is NONE
            assert await producer.add(("logs", 0)) == [ErrorCode.CONCURRENT_TRANSACTIONS]
    async with broker_with_logs(tmp_path) as broker:
        await until_state(broker, "payments", "CompleteCommit")

        assert await visible(broker, "logs", 2) == [[b"payments-0"], [b"payments-1"]]


# A crash between two steps of an end: directories from before it and from after it, put together.

STATE, OFFSETS = "__transaction_state-0", "__consumer_offsets-0"


def without_last_batch(directory: Path) -> None:
    """As if the last append had never been."""
    log = directory / f"{0:020d}.log"
    data = log.read_bytes()
    sizes = [header.size_bytes for header in iter_batches(data)]
    log.write_bytes(data[: sum(sizes[:-1])])


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("marked", [(), ("logs-0",), ("logs-0", "logs-1"), ("logs-0", "logs-1", OFFSETS)])
async def test_a_transaction_decided_before_a_crash_is_ended_after_it_whatever_was_marked(
    tmp_path, marked, version, commit
):
    before, data = tmp_path / "before", tmp_path / "data"
    async with broker_with_logs(data) as broker:
        producer = await open_transaction(broker)
        await producer.send_offset("readers", "logs", 7)
        shutil.copytree(data, before)
        asked_with = producer.producer
        assert await producer.end(commit=commit, version=version) is NONE
        told = producer.producer
    for name in {"logs-0", "logs-1", OFFSETS} - set(marked):
        shutil.rmtree(data / name)
        shutil.copytree(before / name, data / name)
    without_last_batch(data / STATE)
    (data / ".kafka_cleanshutdown").unlink()
    (data / "recovery-point-offset-checkpoint").unlink()

    async with broker_with_logs(data) as broker:
        await until_state(broker, "payments", "CompleteCommit" if commit else "CompleteAbort")
        seen = await visible(broker, "logs", 2)

        assert seen == ([[b"payments-0"], [b"payments-1"]] if commit else [[], []])
        assert await committed_offset(broker, "readers", "logs") == (7 if commit else -1)
        producer.broker, producer.producer = broker, asked_with
        assert await producer.end(commit=commit, version=version) is NONE, "the answer before the crash was lost"
        assert producer.producer == told
        producer = await open_transaction(broker)
        assert await producer.end(version=version) is NONE


async def test_a_transaction_not_decided_before_a_crash_is_ended_by_the_next_producer(tmp_path):
    before, data = tmp_path / "before", tmp_path / "data"
    async with broker_with_logs(data):
        pass
    async with broker_with_logs(data) as broker:
        await open_transaction(broker)
        shutil.copytree(data, before)
    (before / ".lock").unlink(missing_ok=True)

    async with broker_with_logs(before) as broker:
        producer = TransactionalProducer(broker, "payments")
        assert await producer.begin() is ErrorCode.CONCURRENT_TRANSACTIONS
        assert await producer.begin() is NONE
        assert await visible(broker, "logs", 2) == [[], []]
        assert broker.partition("logs", 0).last_stable_offset == broker.partition("logs", 0).end_offset


async def test_a_thousand_ids_are_loaded_more_quickly_than_they_were_made(tmp_path):
    begun_s = time.monotonic()
    async with running_broker(tmp_path) as broker:
        await asyncio.gather(*(TransactionalProducer(broker, f"id-{number}").begin() for number in range(1000)))
    made_s, loaded_s = time.monotonic() - begun_s, []
    for _ in range(3):  # Here a tenth of the time, but anything may hold up one of them.
        begun_s = time.monotonic()
        async with running_broker(tmp_path) as broker:
            assert len(broker.transactions.all()) == 1000
            loaded_s.append(time.monotonic() - begun_s)

    assert min(loaded_s) < made_s
