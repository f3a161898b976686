"""Offsets outlive the last member of their group by offsets.retention.minutes (KIP-211)."""

from core.coordinators.test_commits import subscription
from sim.group_driver import Driver, Settings, commit, join, leave, stable_group

from millstream.core.coordinators.group_commands import ExpireOffsets, ForgetTopic, OffsetEntry
from millstream.core.coordinators.group_records import GroupRemoved, OffsetRemoved

RETENTION_MS = 10_080 * 60_000
LOGS = OffsetRemoved("g", "logs", 0)
EXPIRE = ExpireOffsets("g")


def test_offsets_of_an_empty_group_age_from_when_it_became_empty() -> None:
    driver = Driver(Settings(group_max_session_timeout_ms=RETENTION_MS))
    (member,) = stable_group(driver, 1, lambda _: {"session_timeout_ms": RETENTION_MS})
    driver.do(commit(1, member, 1))
    driver.advance(RETENTION_MS - 1)
    driver.do(leave(member))

    driver.advance(RETENTION_MS - 1)
    assert driver.decide(EXPIRE).records == ()
    driver.advance(1)
    assert driver.decide(EXPIRE).records == (LOGS, GroupRemoved("g"))
    assert driver.coordinator.group_ids() == ()


def test_offsets_of_a_consumer_outside_the_protocol_age_each_from_its_commit() -> None:
    driver = Driver()
    driver.do(commit(1))
    driver.advance(1_000)
    driver.do(commit(0, entries=(OffsetEntry("logs", 1, 5),)))

    driver.advance(RETENTION_MS - 1_000)
    assert driver.decide(EXPIRE).records == (LOGS,)
    driver.advance(1_000)
    assert driver.decide(EXPIRE).records == (OffsetRemoved("g", "logs", 1), GroupRemoved("g"))
    assert (driver.decide(EXPIRE).records, driver.coordinator.group_ids()) == ((), ())


def test_consumers_keep_the_offsets_of_the_topics_they_read_and_lose_those_of_others() -> None:
    driver = Driver(Settings(group_max_session_timeout_ms=2 * RETENTION_MS))
    protocols = (("range", subscription("logs")),)
    (member,) = stable_group(driver, 1, lambda _: {"session_timeout_ms": 2 * RETENTION_MS, "protocols": protocols})
    driver.do(commit(0, member, 1, entries=(OffsetEntry("logs", 0, 1), OffsetEntry("old", 0, 1))))

    driver.advance(RETENTION_MS)

    assert driver.decide(EXPIRE).records == (OffsetRemoved("g", "old", 0),)


def test_a_group_of_another_protocol_keeps_its_offsets_as_long_as_it_has_members() -> None:
    driver = Driver(Settings(group_max_session_timeout_ms=2 * RETENTION_MS))
    change = {"session_timeout_ms": 2 * RETENTION_MS, "protocol_type": "connect"}
    (member,) = stable_group(driver, 1, lambda _: change)
    driver.do(commit(1, member, 1))

    driver.advance(RETENTION_MS)

    assert driver.decide(EXPIRE).records == ()


def test_an_offset_that_a_transaction_may_change_does_not_expire() -> None:
    driver = Driver()
    driver.do(commit(1))
    driver.do(commit(2, producer_id=7))
    driver.advance(RETENTION_MS)

    assert driver.decide(EXPIRE).records == ()
    driver.end_transaction(7, commit=False)
    assert driver.decide(EXPIRE).records == (LOGS, GroupRemoved("g"))


def test_an_offset_with_an_expiry_of_its_own_goes_by_that() -> None:
    driver = Driver()
    driver.do(commit(1, retention_ms=500))

    driver.advance(499)
    assert driver.decide(EXPIRE).records == ()
    driver.advance(1)
    assert driver.decide(EXPIRE).records == (LOGS, GroupRemoved("g"))


def test_an_empty_group_without_offsets_is_removed_unless_someone_is_about_to_join() -> None:
    driver = Driver()
    driver.do(leave(*stable_group(driver, 1)))
    driver.do(join(2, must_know_member_id=True))
    assert driver.decide(EXPIRE).records == ()

    driver.advance(10_000)

    assert driver.decide(EXPIRE).records == (GroupRemoved("g"),)


def test_a_topic_that_is_deleted_takes_its_offsets_along_in_every_group() -> None:
    driver = Driver()
    driver.do(commit(1))
    driver.do(commit(0, group_id="h", entries=(OffsetEntry("logs", 2, 1), OffsetEntry("other", 0, 1))))
    driver.do(commit(5, producer_id=7, entries=(OffsetEntry("logs", 3, 1),)))

    records = driver.decide(ForgetTopic("logs")).records

    assert records == (LOGS, OffsetRemoved("g", "logs", 3), OffsetRemoved("h", "logs", 2))
    assert driver.committed("h") == {("other", 0): 1}
