"""How kernels are compiled: cached on disk, without the GIL; and a bulk copy for them. Pure.

The cache notices a change of the kernel's own file only: a function that several kernels share is repeated in each file
or, after a change, the `*.nbc` files beside it are deleted.
"""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., object])


class KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache on disk, which also gets over entries that are cut off, or name a class that has gone."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except (ImportError, AttributeError, EOFError, UnpicklingError):
            self.flush()
            return None


def kernel(function: Function) -> Function:
    """`function` compiled on its first call for the types it is called with."""
    dispatcher = numba.njit(nogil=True)(function)
    dispatcher._cache = KernelCache(function)
    return cast(Function, dispatcher)


@intrinsic  # type: ignore[untyped-decorator]
def copy_bytes(_typing: Any, source: Any, _at: Any, target: Any, _to: Any, _count: Any) -> Any:
    """copy_bytes(source, at, target, to, count): memcpy between two byte arrays; count must be at least 0.

    A loop over bytes costs ten times as much, since the compiler cannot know that the arrays are apart.
    """
    signature = types.void(source, types.int64, target, types.int64, types.int64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source_type, _, target_type, _, _ = signature.args
        source, at, target, to, count = arguments
        from_pointer = builder.gep(cgutils.create_struct_proxy(source_type)(context, builder, source).data, [at])
        to_pointer = builder.gep(cgutils.create_struct_proxy(target_type)(context, builder, target).data, [to])
        cgutils.raw_memcpy(builder, to_pointer, from_pointer, count, ir.Constant(ir.IntType(64), 1))
        return context.get_dummy_value()

    return signature, emit
