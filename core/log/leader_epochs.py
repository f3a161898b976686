"""Which leader epoch wrote which offsets of a log. Pure; shell: partition_log.py.

Source: LeaderEpochFileCache of Kafka 4.3.1. Tested in tests/core/log/test_leader_epochs.py.
"""

from bisect import bisect_right
from collections.abc import Iterable

UNDEFINED = (-1, -1)
FAR = 2**63 - 1


class LeaderEpochs:
    """Epochs and their first offsets, both rising."""

    def __init__(self, entries: Iterable[tuple[int, int]] = ()) -> None:
        self._epochs: list[int] = []
        self._starts: list[int] = []
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)

    @property
    def latest(self) -> int:
        """The newest epoch, -1 when there is none."""
        return self._epochs[-1] if self._epochs else -1

    def entries(self) -> list[tuple[int, int]]:
        return list(zip(self._epochs, self._starts, strict=True))

    def assign(self, epoch: int, start_offset: int) -> bool:
        """Note that records from `start_offset` on have `epoch`. Returns whether that was new.

        Entries that it contradicts (later epochs, later starts) go, as in Kafka.
        """
        if epoch < 0 or epoch == self.latest:
            return False
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        return True

    def epoch_of(self, offset: int) -> int:
        """The epoch that wrote `offset`, -1 when it is not known."""
        index = bisect_right(self._starts, offset) - 1
        return self._epochs[index] if index >= 0 else -1

    def run_from(self, offset: int) -> tuple[int, int]:
        """The epoch that wrote `offset`, and the offset up to which it did; (-1, offset) when it is not known."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0:
            return -1, offset
        return self._epochs[index], self._starts[index + 1] if index + 1 < len(self._starts) else FAR

    def end_offset(self, epoch: int, *, log_end_offset: int) -> tuple[int, int]:
        """The largest known epoch not above `epoch`, and where it ends; UNDEFINED when there is no answer."""
        if epoch == UNDEFINED[0] or not self._epochs or epoch > self.latest:
            return UNDEFINED
        if epoch == self.latest:
            return epoch, log_end_offset
        index = bisect_right(self._epochs, epoch)
        floor = self._epochs[index - 1] if index else epoch
        return floor, self._starts[index]

    def truncate_start(self, log_start_offset: int) -> bool:
        """Forget epochs that end before `log_start_offset`; the one that holds it begins there from now on."""
        index = bisect_right(self._starts, log_start_offset) - 1
        if index < 0 or self._starts[index] == log_start_offset == self._starts[0]:
            return False
        del self._epochs[:index], self._starts[:index]
        self._starts[0] = max(self._starts[0], log_start_offset)
        return True

    def truncate_end(self, end_offset: int) -> bool:
        """Forget epochs that begin at `end_offset` or later."""
        before = len(self._epochs)
        while self._starts and self._starts[-1] >= end_offset:
            self._epochs.pop()
            self._starts.pop()
        return len(self._epochs) != before


class EpochRuns:
    """Runs of batches of the same epoch, as they are found in a log, to hold the noted epochs against."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int, int]] = []

    def add(self, epoch: int, base_offset: int) -> None:
        """Note the next batch."""
        if self._runs and self._runs[-1][0] == epoch:
            _, start, count = self._runs[-1]
            self._runs[-1] = (epoch, start, count + 1)
        else:
            self._runs.append((epoch, base_offset, 1))

    def contradict(self, noted: LeaderEpochs) -> bool:
        """Whether more batches are of another epoch than the noted one: then it is the notes that are wrong."""
        wrong = right = 0
        for epoch, start, count in self._runs:
            expected = noted.epoch_of(start)
            if expected == epoch:
                right += count
            elif expected != -1 and epoch < noted.latest:
                wrong += count
        return wrong > right

    def believable(self) -> list[tuple[int, int]]:
        """Epochs and first offsets without the single batches that stand out from those around them: flipped bits."""
        found: list[tuple[int, int]] = []
        for index, (epoch, start, count) in enumerate(self._runs):
            following = self._runs[index + 1][0] if index + 1 < len(self._runs) else epoch
            stands_out = count == 1 and following < epoch
            if epoch > (found[-1][0] if found else -1) and not stands_out:
                found.append((epoch, start))
        return found
