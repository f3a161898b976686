"""The hash of two numbers, for the tables that find a slot by them. Pure.

Never stored on disk. Tests: tests/streams/test_state.py.
"""

import numpy as np

from ...core.kernels.jit import kernel

U = np.uint64


@kernel
def pair_hash(first: int, second: int) -> np.uint64:
    """Of two 64-bit numbers; which comes first matters."""
    mixed = U(first) * U(0x9E3779B97F4A7C15) ^ U(second) * U(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> U(32)
    mixed *= U(0xBF58476D1CE4E5B9)
    return mixed ^ mixed >> U(29)
