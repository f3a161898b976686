"""A process that has no kernels yet gets them beside the event loop, and is told what it waits for."""

import os
import subprocess
import sys
from pathlib import Path

FIRST_USES = """
import asyncio, sys
import pyarrow as pa
from numba.core.dispatcher import Dispatcher
from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.config import consumer_config, producer_config
from millstream.embedded import open_client

first_calls = Dispatcher._compile_for_args
threaded, on_loop = set(), set()

def noted(self, *values, **named):
    (threaded if asyncio._get_running_loop() is None else on_loop).add(self.py_func.__name__)
    return first_calls(self, *values, **named)

Dispatcher._compile_for_args = noted
rows = pa.RecordBatch.from_pydict({"key": [b"a", b"b", None], "value": [b"1", b"2", b"3"]})

async def produce_rows(client):
    async with client.producer(producer_config({})) as producer:
        await producer.produce("t", b"4", b"a", headers=[("h", b"x")])

async def produce_columns(client):
    async with client.producer(producer_config({"transactional.id": "x", "compression.type": "lz4"})) as producer:
        await producer.init_transactions()
        producer.begin()
        await producer.send("t", rows)
        await producer.commit()
        producer.begin()
        await producer.send("t", rows)
        await producer.flush()
        await producer.abort()

async def consume(client):
    settings = {"isolation.level": "read_committed", "auto.offset.reset": "earliest"}
    async with client.consumer(consumer_config(settings)) as consumer:
        consumer.assign({("t", 0): 0, ("t", 1): 0})
        left = 4
        while left:
            left -= sum(records.num_rows for records in await consumer.poll(1000))

async def main():
    async with open_client("embedded:" + sys.argv[1]) as client:
        await client.admin.create_topics([NewTopic("t", 2)], exist_ok=True)
        for step in map(globals().get, sys.argv[2:]):
            await step(client)
    print("on the loop:", sorted(on_loop))
    assert {"write_batches", "decode_batches", "hash_partitions"} <= threaded, "what is looked for has other names"

asyncio.run(main())
"""

TOLD = """
import logging
from millstream.core.records import warm

logging.basicConfig(format="%(levelname)s %(message)s")
warm.compile_kernels = lambda: print("compiled")
warm.load_kernels()
warm.load_kernels()
"""


def test_no_first_use_of_a_kernel_is_on_the_event_loop(tmp_path: Path) -> None:
    """The first send of a source held the loop for 10 s on a new installation: heartbeats and other clients waited."""
    for steps in (("produce_columns", "produce_rows"), ("consume",)):
        command = [sys.executable, "-c", FIRST_USES, str(tmp_path / "data"), *steps]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (ended.stdout, ended.returncode) == ("on the loop: []\n", 0), ended.stderr


def test_who_waits_for_kernels_to_be_compiled_is_told_so_once(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", TOLD], env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip

    assert ended.stdout == "compiled\n"
    assert ended.stderr == (
        "WARNING compiling the kernels of records takes some 10 s of CPU time, once per installation "
        "(millstream warm does it ahead)\n"
    )
