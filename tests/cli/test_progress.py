"""What shows progress belongs to the run: a mistake in it ends the run with its error instead of going unseen."""

import asyncio
from typing import Any

import pytest

from millstream.cli import progress, snapshot
from millstream.embedded import Pipelines


def test_a_failure_while_showing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    shown_rows = progress.snapshot
    calls: list[int] = []

    def fails_once(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("in the table")
        return shown_rows(*arguments)

    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    monkeypatch.setattr(progress, "snapshot", fails_once)

    async def run() -> None:
        async with progress.shown(Pipelines()):
            await asyncio.sleep(60)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_the_first_rate_counts_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that was through before the first line said `10,000 rows, 0 rows/s`."""
    now = 100.0
    monkeypatch.setattr(snapshot.time, "monotonic", lambda: now)
    rates = snapshot.Rates()

    now = 110.0
    first = rates.rate("files-0", 10_000)
    now = 112.0

    assert (first, rates.rate("files-0", 10_500)) == (1000.0, 250.0)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("RUNNING", " running  source files-0: 10,000 rows, 0 rows/s, 1 dead letter"),
        ("DONE", "    done  source files-0: 10,000 rows, 1 dead letter"),
    ],
)
def test_a_part_that_is_through_has_no_rate(state: str, told: str) -> None:
    assert progress.line(snapshot.Row("files-0", "source", state, 10_000, 0.0, "1 dead letter")) == told
