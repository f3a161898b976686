"""How kernels are compiled: on first use, cached on disk, running without the GIL. Pure.

The cache notices a change of the kernel's own file only: after a change to a function that kernels of other files call,
delete the `*.nbc` and `*.nbi` files in `__pycache__`. Tests: tests/core/records/test_kernel_cache.py.
"""

from collections.abc import Callable
from contextlib import suppress
from pickle import UnpicklingError
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

as_int64 = cast(Callable[[Any], int], np.int64)
"""To int64 inside kernels: type checkers see an int, numba sees numpy's type."""

Function = TypeVar("Function", bound=Callable[..., object])


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache on disk, which also gets over entries that are cut off, or name a class that has gone."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except (ImportError, AttributeError, EOFError, UnpicklingError):
            self.flush()
            return None


def _with_cache(dispatcher: Any, function: Function) -> Function:
    # Where no folder can be written, as in a read-only container, each process compiles for itself.
    with suppress(RuntimeError, OSError):
        dispatcher._cache = KernelCache(function)
    return cast(Function, dispatcher)


def kernel(function: Function) -> Function:
    """`function` compiled on its first call for the types it is called with."""
    return _with_cache(numba.njit(nogil=True, no_cfunc_wrapper=True, error_model="numpy")(function), function)


def inlined(function: Function) -> Function:
    """As kernel(), and compiled into its callers, kernels only: for what runs for each field or character."""
    options = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True, "error_model": "numpy"}
    return _with_cache(numba.njit(nogil=True, forceinline=True, **options)(function), function)
