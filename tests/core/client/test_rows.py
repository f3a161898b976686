from millstream.core.client.producing.rows import RowBuffers


def test_rows_become_columns():
    buffers = RowBuffers(batch_bytes=1000, linger_ms=5)
    buffer = buffers.buffer("t", None, 10)
    buffer.add(b"k", None, 7, [("h", b"x"), ("h", None)], "first")
    buffer.add(None, b"v", None, [], "second")

    found = buffer.columns().to_pydict()

    assert found["key"] == [b"k", None]
    assert found["value"] == [None, b"v"]
    assert found["headers"] == [[{"key": "h", "value": b"x"}, {"key": "h", "value": None}], []]
    assert [str(time) for time in found["timestamp"]] == ["1970-01-01 00:00:00.007000", "None"]


def test_a_buffer_is_due_after_the_linger_time_of_its_first_row():
    buffers = RowBuffers(batch_bytes=1000, linger_ms=5)
    buffers.buffer("t", None, 10)
    buffers.buffer("t", 1, 12)

    assert buffers.next_due_ms() == 15
    assert [buffer.partition for buffer in buffers.take_due(15)] == [None]
    assert [buffer.partition for buffer in buffers.take_due(None)] == [1]
    assert buffers.next_due_ms() is None


def test_a_full_buffer_is_closed():
    buffers = RowBuffers(batch_bytes=100, linger_ms=5)
    buffer = buffers.buffer("t", None, 0)
    buffer.add(None, b"x" * 40, None, [], 1)
    assert not buffers.take_full(buffer)

    buffer.add(None, b"x" * 40, None, [], 2)
    assert buffers.take_full(buffer)
    assert buffers.buffer("t", None, 0) is not buffer
