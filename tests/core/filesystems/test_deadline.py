"""Calls that hang are given up, and what they held is released; what comes in time is never lost."""

import gc
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile
from hdfs_native import FileWriter

from millstream.core.errors import Retriable
from millstream.core.filesystems import deadline as deadline_module
from millstream.core.filesystems.deadline import HANGING_CALLS_MAX, Deadline
from millstream.core.filesystems.generic import GenericFileWriter
from millstream.core.filesystems.hdfs import HdfsFileSystem


def test_an_answer_in_the_last_moment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came between the end of the wait and the look whether it had come: a bare TimeoutError was raised."""

    class LateFuture(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            if timeout is None:
                return super().result()
            super().result(30)
            raise TimeoutError

    monkeypatch.setattr(deadline_module, "Future", LateFuture)

    assert Deadline("store", 1).call(lambda: "answer") == "answer"


def test_a_timeout_that_the_function_raises_is_its_own() -> None:
    def fail() -> None:
        raise TimeoutError("the store's")

    with pytest.raises(TimeoutError, match="the store's"):
        Deadline("store", 30).call(fail)


def test_calls_that_hang_are_counted_and_refused_until_one_returns() -> None:
    answer = threading.Event()
    deadline = Deadline("store", 0.001)
    for _ in range(HANGING_CALLS_MAX):
        with pytest.raises(Retriable, match=r"store did not answer within 0\.001 s"):
            deadline.call(answer.wait)

    with pytest.raises(Retriable, match=f"{HANGING_CALLS_MAX} calls hang"):
        deadline.call(answer.wait)

    answer.set()


def test_who_waits_for_a_store_that_hangs_is_told_when_it_is_closed_and_nobody_waits_afterwards() -> None:
    """A process that was asked to end waited for its threads, and they for a NameNode that hung."""
    asked, answer = threading.Event(), threading.Event()
    told: list[str] = []

    class Client:
        def delete(self, _: str) -> None:
            asked.set()
            answer.wait()

    filesystem = HdfsFileSystem(Client(), Deadline("hdfs://namenode", 600))  # type: ignore[arg-type]

    def wait() -> None:
        with pytest.raises(Retriable) as caught:
            filesystem.delete("/file")
        told.append(str(caught.value))

    waiting = threading.Thread(target=wait)
    waiting.start()
    asked.wait()
    filesystem.close()
    waiting.join(30)
    answer.set()

    with pytest.raises(Retriable, match="hdfs://namenode is closed"):
        filesystem.delete("/file")
    assert told == ["hdfs://namenode is closed"]


def test_a_file_that_is_given_up_while_the_store_hangs_does_not_hang() -> None:
    answer = threading.Event()

    class Upload:
        def discard(self) -> None:
            answer.wait()

    GenericFileWriter(Upload(), "/file", Deadline("store", 0.01)).abandon()

    answer.set()


def test_an_upload_that_is_given_up_is_not_sent_by_the_garbage_collector() -> None:
    """fsspec's finalizer closes what is open: it uploaded the file in whichever thread ran it, and waited for that."""
    sent: list[bytes] = []

    class Upload(AbstractBufferedFile):
        def _upload_chunk(self, final: bool = False) -> bool:  # noqa: ARG002
            sent.append(self.buffer.getvalue())
            return True

        def _initiate_upload(self) -> None:
            pass

    writer = GenericFileWriter(Upload(MemoryFileSystem(), "/file", "wb"), "/file", Deadline("store", 30))
    writer.write(b"data")

    writer.abandon()
    del writer
    gc.collect()

    assert sent == []


@pytest.mark.parametrize("closed_before", [False, True])
def test_a_file_in_hdfs_that_is_given_up_is_not_closed_by_the_garbage_collector(closed_before: bool) -> None:
    """After an outage it asked the NameNode for 16 s a file, in whichever thread ran: a run hung for minutes."""
    asked: list[str] = []

    class Inner:
        def write(self, data: bytes) -> int:
            return len(data)

        def close(self) -> None:
            asked.append("close")
            raise RuntimeError("the NameNode is away")

    class Client:
        def create(self, *_: object) -> FileWriter:
            return FileWriter(Inner())  # type: ignore[arg-type]

    writer = HdfsFileSystem(Client(), Deadline("store", 30)).open_write("/file")  # type: ignore[arg-type]
    writer.write(b"data")
    if closed_before:
        with pytest.raises(Retriable, match="cannot close /file: the NameNode is away"):
            writer.close()

    writer.abandon()
    del writer
    gc.collect()

    assert asked == ["close"] * closed_before


def test_a_process_that_ends_lets_a_call_under_way_end() -> None:
    """Its thread came back from native code while Python was being torn down: SIGABRT in place of the exit code."""
    code = (
        "import threading, time\n"
        "from millstream.core.errors import Retriable\n"
        "from millstream.core.filesystems.deadline import Deadline\n"
        "def call():\n"
        "    threading.main_thread().join()\n"
        "    time.sleep(0.2)\n"
        "    print('answered', flush=True)\n"
        "try:\n"
        "    Deadline('store', 0.01).call(call)\n"
        "except Retriable as error:\n"
        "    print(error, flush=True)\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert child.stdout == "store did not answer within 0.01 s\nanswered\n"


def test_what_the_namenode_says_is_told_without_its_stack_trace() -> None:
    class Client:
        def delete(self, _: str) -> None:
            raise RuntimeError(r'RPCError("java.io.IOException", "no DataNode runs\n\tat org.apache.hadoop.A\n\tat B")')

    with pytest.raises(Retriable) as caught:
        HdfsFileSystem(Client(), Deadline("store", 30)).delete("/file")  # type: ignore[arg-type]

    assert str(caught.value) == 'cannot delete /file: RPCError("java.io.IOException", "no DataNode runs'
