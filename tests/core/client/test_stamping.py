from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.producing.stamping import SEQUENCE_MODULUS, next_sequence, stamp, writable
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**15 - 1), st.integers(0, SEQUENCE_MODULUS - 1), st.booleans())
def test_a_stamped_batch_has_the_identity_and_a_right_checksum(
    producer_id: int, epoch: int, sequence: int, transactional: bool
):
    batch = writable(build_batch([SimpleRecord(0, 5, b"k", b"v")], timestamp_ms=5))

    stamp(batch, producer_id, epoch, sequence, transactional=transactional)

    header = check_batch(batch, 0)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (producer_id, epoch, sequence)
    assert header.is_transactional is transactional


def test_a_batch_can_be_stamped_again():
    batch = writable(build_batch([SimpleRecord(0, 5, b"k", b"v")], timestamp_ms=5))

    stamp(batch, 1, 2, 3, transactional=False)
    stamp(batch, 4, 5, 6, transactional=False)

    assert check_batch(batch, 0).producer_id == 4


def test_bytes_that_can_be_written_to_are_not_copied():
    data = bytearray(61)

    assert writable(data) is data
    assert isinstance(writable(bytes(data)), bytearray)


def test_sequences_wrap_to_zero():
    assert next_sequence(SEQUENCE_MODULUS - 1, 1) == 0
    assert next_sequence(SEQUENCE_MODULUS - 2, 5) == 3
