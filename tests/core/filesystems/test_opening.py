"""A store that hangs while it is opened is given up after the deadline of a call."""

import threading
from typing import Any

import fsspec
import pytest

from millstream.core.errors import Retriable, StorageError
from millstream.core.filesystems.opening import open_filesystem


class Hanging(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Asks for a session as soon as it is made, and gets no answer."""

    protocol = "hanging"
    cachable = False
    released = threading.Event()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.released.wait(30)


def test_opening_a_store_that_does_not_answer_has_the_deadline_of_a_call() -> None:
    fsspec.register_implementation("hanging", Hanging, clobber=True)
    try:
        with pytest.raises(Retriable, match=r"hanging://lake did not answer within 0\.2 s"):
            open_filesystem("hanging://lake", {}, timeout_s=0.2)
    finally:
        Hanging.released.set()


def test_a_question_mark_in_a_url_of_files_is_part_of_the_name() -> None:
    """What stood behind it was left out, and the files went elsewhere."""
    assert open_filesystem("file:///lake?a=b/c")[1] == "/lake?a=b/c"
    with pytest.raises(StorageError, match=r"'/lake\?a=b': the characters # \? ; and : cannot stand in it"):
        open_filesystem("hdfs://namenode:9000/lake?a=b")
