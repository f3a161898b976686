"""The scanner's numbers against Python's own float() and int(), to the last bit."""

import json
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.kernels.numbers import POWERS, double_bits, scan_number


def scanned(text: str) -> tuple[float, bool] | None:
    """(Value, is an integer) when the kernels take all of the text and decide."""
    data = np.frombuffer(text.encode() or b"\0", np.uint8)
    at, mantissa, power, is_negative, is_integer = scan_number(data.ctypes.data, 0, len(text))
    if at != len(text):
        return None
    found, bits = double_bits(np.uint64(mantissa), power, is_negative, POWERS.ctypes.data)
    return (struct.unpack("<d", struct.pack("<q", bits))[0], bool(is_integer)) if found else None


texts = st.builds(
    lambda sign, whole, fraction, exponent: sign + whole + fraction + exponent,
    st.sampled_from(["", "-"]),
    st.just("0") | st.integers(1, 10**17).map(str),
    st.just("") | st.text("0123456789", min_size=1, max_size=20).map(lambda text: "." + text),
    st.just("") | st.integers(-330, 330).map(lambda power: f"e{power}") | st.sampled_from(["E+05", "e-0", "E22"]),
)


@settings(max_examples=some(500))
@given(texts | st.floats(allow_nan=False, allow_infinity=False).map(repr))
@example("9007199254740993")
@example("9007199254740992.5")
@example("1e23")
@example("8.5e22")
@example("2.2250738585072011e-308")
@example("1.7976931348623157e308")
@example("-0.0")
def test_what_is_decided_is_the_nearest_double(text: str) -> None:
    got = scanned(text)

    if got is not None:
        assert struct.pack("<d", got[0]) == struct.pack("<d", float(text))
        assert got[1] == isinstance(json.loads(text), int)


@settings(max_examples=some(300))
@given(st.floats(min_value=1e-300, max_value=1e300).map(repr) | st.integers(0, 10**18).map(str))
@example("0.00034884784007155025")
@example("0.0000000000000000000000000000012345678901234567")
def test_nearly_everything_is_decided(text: str) -> None:
    assert scanned(text) is not None


@pytest.mark.parametrize("text", ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "--1", "1.e5", "0x1", "1 ", "-a", "00"])
def test_what_json_does_not_call_a_number_is_left(text: str) -> None:
    assert scanned(text) is None
