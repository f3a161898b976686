"""Waiting for changes ends when there is one, when the system does not tell of any, and when it is to end."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.connect.sources.files import changes as changes_module
from millstream.connect.sources.files.changes import Changes
from millstream.connect.sources.files.folder import Complaints, Folder
from millstream.connect.sources.files.spec import SPEC, files_config

FOR_EVER_MS = 3_600_000
TIMEOUT_S = 30


def waiting(changes: Changes) -> threading.Thread:
    thread = threading.Thread(target=changes.wait, daemon=True)
    thread.start()
    return thread


def folder_of(*paths: str) -> Folder:
    config = {"name": "s", "connector.class": "files", "topic": "t", "paths": ",".join(paths)}
    return Folder(files_config(SPEC.validate(config).values), Complaints())


@pytest.mark.parametrize("recursive", [False, True])
def test_a_change_ends_the_wait(tmp_path: Path, recursive: bool) -> None:
    (tmp_path / "below").mkdir()
    changes = Changes([str(tmp_path)], FOR_EVER_MS, recursive=recursive)
    thread = waiting(changes)

    for number in range(TIMEOUT_S * 10):  # what is written before the watch has begun tells nobody
        if not thread.is_alive():
            break
        (tmp_path / "below" / str(number) if recursive else tmp_path / str(number)).write_text("line\n")
        thread.join(0.1)

    assert not thread.is_alive()
    changes.close()


@pytest.mark.parametrize("folders", [1, 0])
def test_the_end_ends_the_wait_in_another_thread(tmp_path: Path, folders: int) -> None:
    changes = Changes([str(tmp_path)] * folders, FOR_EVER_MS, recursive=True)
    thread = waiting(changes)

    changes.close()

    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    changes.wait()


def test_a_system_that_watches_no_more_folders_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The task ended at it, at every start anew, and no file was read."""

    def full(*_: Any, **__: Any) -> Iterator[object]:
        raise OSError("OS file watch limit reached.")
        yield

    monkeypatch.setattr(changes_module, "watch", full)
    changes = Changes(["/logs"], 10, recursive=True)

    with caplog.at_level(logging.WARNING):
        changes.wait()
        changes.wait()

    assert len(caplog.messages) == 1
    assert "OS file watch limit reached.; they are looked at every 10 ms" in caplog.messages[0]


def test_a_folder_that_is_not_there_is_not_sought_for_in_those_above(tmp_path: Path) -> None:
    """With a typing error in its first part, the whole disk was watched."""
    (tmp_path / "there" / "below").mkdir(parents=True)

    assert folder_of(f"{tmp_path}/there/*.log", f"{tmp_path}/nope/*.log").watched() == [str(tmp_path / "there")]
    assert folder_of(f"{tmp_path}/there/app.log").watched() == [str(tmp_path / "there")]


@pytest.mark.parametrize(
    ("path", "is_deep"),
    [("/logs/app.log", False), ("/logs/*.log", False), ("/logs/*/a.log", True), ("/logs/**", True), ("/l*/*", True)],
)
def test_folders_below_are_watched_only_for_globs_that_go_there(path: str, is_deep: bool) -> None:
    assert folder_of(path).reaches_below() is is_deep
