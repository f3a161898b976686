"""A topic's compression.type holds for batches of every codec, and their records stay what they are."""

import itertools

import pytest

from millstream.core.broker.data_plane.recompression import CODECS, recompressed
from millstream.core.config import LogConfig
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch, read_header, read_records

RECORDS = [SimpleRecord(index, 1000 + index, b"key %d" % index, b"value" * index) for index in range(300)]
PLAIN = build_batch(RECORDS, timestamp_ms=0, producer_id=7, producer_epoch=1, base_sequence=3)


def config(codec: str) -> LogConfig:
    return LogConfig(compression_type=codec)


@pytest.mark.parametrize(("given", "wanted"), list(itertools.product(CODECS, CODECS)))
def test_records_are_the_same_in_every_codec(given: str, wanted: str) -> None:
    sent, sent_header = recompressed(PLAIN, read_header(PLAIN), config(given))
    stored, header = recompressed(sent, sent_header, config(wanted))

    assert header == check_batch(stored)
    assert header.codec == ("none" if wanted == "uncompressed" else wanted)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.count) == (7, 1, 3, 300)
    assert [record._replace(headers=()) for record in read_records(stored)] == RECORDS


def test_a_topic_that_leaves_it_to_the_producer_keeps_the_batch_itself() -> None:
    header = read_header(PLAIN)

    assert recompressed(PLAIN, header, config("producer")) == (PLAIN, header)
    assert recompressed(PLAIN, header, config("uncompressed"))[0] is PLAIN


def test_bytes_that_are_not_of_their_codec_are_corrupt() -> None:
    header = read_header(PLAIN)
    header.attributes |= CODECS["zstd"]

    with pytest.raises(ProtocolError) as caught:
        recompressed(PLAIN, header, config("lz4"))
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_lz4_has_independent_blocks_since_java_reads_no_others() -> None:
    stored, _ = recompressed(PLAIN, read_header(PLAIN), config("lz4"))

    magic, flags = stored[61:65], stored[65]
    assert magic == bytes.fromhex("04224d18")
    assert flags & 0x20
