"""Leader epochs and their offsets, as OffsetForLeaderEpoch answers from them."""

import pytest

from millstream.core.log.leader_epochs import UNDEFINED, EpochRuns, LeaderEpochs

ENTRIES = [(2, 10), (4, 30), (7, 60)]


@pytest.mark.parametrize(
    ("epoch", "answer"),
    [
        (-1, UNDEFINED),
        (0, (0, 10)),
        (2, (2, 30)),
        (3, (2, 30)),
        (4, (4, 60)),
        (6, (4, 60)),
        (7, (7, 99)),
        (8, UNDEFINED),
    ],
)
def test_an_epoch_ends_where_the_next_larger_one_begins(epoch: int, answer: tuple[int, int]) -> None:
    assert LeaderEpochs(ENTRIES).end_offset(epoch, log_end_offset=99) == answer


def test_without_epochs_there_is_no_answer() -> None:
    assert LeaderEpochs().end_offset(0, log_end_offset=5) == UNDEFINED


@pytest.mark.parametrize(("offset", "epoch"), [(9, -1), (10, 2), (29, 2), (30, 4), (1000, 7)])
def test_each_offset_belongs_to_the_epoch_that_began_last(offset: int, epoch: int) -> None:
    assert LeaderEpochs(ENTRIES).epoch_of(offset) == epoch


def test_an_epoch_is_noted_once() -> None:
    epochs = LeaderEpochs()

    assert epochs.assign(1, 5)
    assert not epochs.assign(1, 9)
    assert not epochs.assign(-1, 9)
    assert epochs.entries() == [(1, 5)]


def test_a_new_epoch_takes_away_those_that_it_contradicts() -> None:
    epochs = LeaderEpochs(ENTRIES)

    assert epochs.assign(5, 40)

    assert epochs.entries() == [(2, 10), (4, 30), (5, 40)]


def test_the_epoch_that_holds_the_new_start_begins_there() -> None:
    epochs = LeaderEpochs(ENTRIES)

    assert epochs.truncate_start(45)
    assert epochs.entries() == [(4, 45), (7, 60)]
    assert not epochs.truncate_start(45)
    assert not LeaderEpochs(ENTRIES).truncate_start(5)


def test_epochs_at_or_behind_the_new_end_go() -> None:
    epochs = LeaderEpochs(ENTRIES)

    assert epochs.truncate_end(60)
    assert epochs.entries() == [(2, 10), (4, 30)]
    assert not epochs.truncate_end(60)


def runs(*batches: int) -> EpochRuns:
    found = EpochRuns()
    for offset, epoch in enumerate(batches):
        found.add(epoch, offset)
    return found


def test_a_single_batch_of_another_epoch_does_not_contradict_the_notes_most_batches_do() -> None:
    assert not runs(0, 0, 8, 0).contradict(LeaderEpochs([(0, 0)]))
    assert runs(0, 0, 0, 0).contradict(LeaderEpochs([(16, 0)]))


def test_newer_epochs_than_the_noted_ones_contradict_nothing() -> None:
    assert not runs(1, 1, 1).contradict(LeaderEpochs([(0, 0)]))


def test_an_epoch_that_only_one_batch_in_the_middle_has_is_not_believed() -> None:
    assert runs(0, 0, 64, 0, 1, 1, 0, 2).believable() == [(0, 0), (1, 4), (2, 7)]
