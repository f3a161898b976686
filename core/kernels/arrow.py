"""Arrow arrays as plain numpy arrays for the kernels, without a copy. Pure.

Tests: tests/core/records/test_encode.py, with sliced arrays, nulls and every width of offsets.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import PlanError

BINARY_BYTES_MAX: Final = 2**31 - 1
NO_VALIDITY = np.empty(0, np.uint8)
NO_VALIDITY.flags.writeable = False


class BinaryBuffers(NamedTuple):
    """Value i is data[ends[i] : ends[i + 1]]. Row i is null when bit first_bit + i of a non-empty validity is 0."""

    ends: npt.NDArray[np.int32]
    data: npt.NDArray[np.uint8]
    validity: npt.NDArray[np.uint8]
    first_bit: int


def read_only(buffer: Any, dtype: Any) -> npt.NDArray[Any]:
    """A pa.Buffer, or None, as a read-only array; one array type keeps the number of compiled kernels down."""
    if buffer is None or buffer.size == 0:
        return np.frombuffer(b"", dtype)
    array = np.frombuffer(buffer, dtype)
    array.flags.writeable = False
    return array


def validity_of(array: Any) -> npt.NDArray[np.uint8]:
    """The validity bitmap; empty when no value is null."""
    return read_only(array.buffers()[0], np.uint8) if array.null_count else NO_VALIDITY


def binary_buffers(array: Any, name: str) -> BinaryBuffers:
    """Buffers of an array of binary or string values, of any kind that Arrow has, or of nothing but nulls.

    Raises PlanError, naming the column, for other types and for more than 2 GiB.
    """
    if not pa.types.is_string(array.type):
        array = as_binary(array, name)
    _, ends, data = array.buffers()
    rows = len(array)
    offsets = read_only(ends, np.int32)[array.offset : array.offset + rows + 1]
    if len(offsets) == 0:
        offsets = np.frombuffer(bytes(4), np.int32)
    return BinaryBuffers(offsets, read_only(data, np.uint8), validity_of(array), array.offset)


def as_binary(array: Any, name: str) -> Any:
    """The array with the type binary. Raises as binary_buffers does."""
    kind = array.type
    if pa.types.is_binary(kind):
        return array
    is_view = pa.types.is_binary_view(kind) or pa.types.is_string_view(kind)
    accepted = (
        pa.types.is_binary(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_dictionary(kind)
        or is_view
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_null(kind)
    )
    if not accepted:
        raise PlanError(f"column {name} has the type {kind}; binary or string is needed")
    too_large = PlanError(f"column {name} holds more than 2 GiB in one batch; cut it into smaller batches")
    if is_view and bytes_of_views(array) > BINARY_BYTES_MAX:
        # Arrow's cast would let the 32-bit offsets wrap, and the kernels would follow them.
        raise too_large
    try:
        if pa.types.is_dictionary(kind):
            plain = as_binary(array.dictionary, name)
            return pa.DictionaryArray.from_arrays(array.indices, plain).dictionary_decode()
        return array.cast(pa.binary())
    except pa.ArrowInvalid as error:
        raise too_large from error


def bytes_of_views(array: Any) -> int:
    """Bytes of all values of an array of views, each of which begins with its length in 32 of its 128 bits."""
    lengths = read_only(array.buffers()[1], np.int32)[::4][array.offset : array.offset + len(array)]
    if array.null_count:
        lengths = lengths[array.is_valid().to_numpy(zero_copy_only=False)]
    return int(lengths.sum(dtype=np.int64))
