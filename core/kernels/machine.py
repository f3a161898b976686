"""Machine operations that numba lacks, for use inside kernels. Pure.

Scanners pass the address of a byte array instead of the array: numba counts references at every call that passes an
array, which costs more than the work of a small function. The caller keeps the array alive and every position
inside it. Little-endian machines only. Tests: through the kernels, whose inputs tests place before an unmapped page.
"""

import sys
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

assert sys.byteorder == "little", "the kernels read words as little-endian machines store them"

INT8, INT64, INT128 = ir.IntType(8), ir.IntType(64), ir.IntType(128)
FALSE = ir.Constant(ir.IntType(1), 0)


def _place(builder: Any, address: Any, position: Any) -> Any:
    return builder.gep(builder.inttoptr(address, INT8.as_pointer()), [position])


def _array_place(context: Any, builder: Any, kind: Any, array: Any, position: Any) -> Any:
    return builder.gep(cgutils.create_struct_proxy(kind)(context, builder, array).data, [position])


@intrinsic  # type: ignore[untyped-decorator]
def copy_bytes(_typing: Any, source: Any, _at: Any, target: Any, _to: Any, _count: Any) -> Any:
    """copy_bytes(source, at, target, to, count): memcpy between two byte arrays; count must be at least 0.

    A loop over bytes costs ten times as much, since the compiler cannot know that the arrays are apart.
    """
    signature = types.void(source, types.int64, target, types.int64, types.int64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, at, target, to, count = arguments
        source_place = _array_place(context, builder, signature.args[0], source, at)
        target_place = _array_place(context, builder, signature.args[2], target, to)
        cgutils.raw_memcpy(builder, target_place, source_place, count, ir.Constant(INT64, 1))
        return context.get_dummy_value()

    return signature, emit


@intrinsic  # type: ignore[untyped-decorator]
def copy_memory(_typing: Any, _source: Any, _target: Any, _count: Any) -> Any:
    """copy_memory(source, target, count): memcpy between two addresses; count must be at least 0."""
    signature = types.void(types.int64, types.int64, types.int64)

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(address, INT8.as_pointer()) for address in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], ir.Constant(INT64, 1))
        return context.get_dummy_value()

    return signature, emit


@intrinsic  # type: ignore[untyped-decorator]
def byte_at(_typing: Any, _address: Any, _position: Any) -> Any:
    """byte_at(address, position): a byte as an int64."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_place(builder, *arguments)), INT64)

    return types.int64(types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def put_byte(_typing: Any, _address: Any, _position: Any, _value: Any) -> Any:
    """put_byte(address, position, value): store the lowest 8 bits of an int64."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(builder.trunc(arguments[2], INT8), _place(builder, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def word_at(_typing: Any, _address: Any, _position: Any) -> Any:
    """word_at(address, position): 8 bytes, the first one lowest, as a uint64; all 8 must be readable."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.bitcast(_place(builder, *arguments), INT64.as_pointer()), align=1)

    return types.uint64(types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def int64_at(_typing: Any, _address: Any, _index: Any) -> Any:
    """int64_at(address, index): element of an int64 array."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.gep(builder.inttoptr(arguments[0], INT64.as_pointer()), [arguments[1]]))

    return types.int64(types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def int32_at(_typing: Any, _address: Any, _index: Any) -> Any:
    """int32_at(address, index): element of an int32 array, as an int64."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.gep(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()), [arguments[1]])
        return builder.sext(builder.load(place), INT64)

    return types.int64(types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def put_int64(_typing: Any, _address: Any, _index: Any, _value: Any) -> Any:
    """put_int64(address, index, value): set an element of an int64 array."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.gep(builder.inttoptr(arguments[0], INT64.as_pointer()), [arguments[1]])
        builder.store(arguments[2], place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(_typing: Any, _word: Any) -> Any:
    """trailing_zeros(word): number of zero bits below the lowest one of a uint64; 64 for 0."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], FALSE)

    return types.int64(types.uint64), emit


@intrinsic  # type: ignore[untyped-decorator]
def leading_zeros(_typing: Any, _word: Any) -> Any:
    """leading_zeros(word): number of zero bits above the highest one of a uint64; 64 for 0."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], FALSE)

    return types.int64(types.uint64), emit


@intrinsic  # type: ignore[untyped-decorator]
def multiply_high(_typing: Any, _left: Any, _right: Any) -> Any:
    """multiply_high(left, right): the upper 64 bits of the product of two uint64."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        left, right = (builder.zext(argument, INT128) for argument in arguments)
        product = builder.lshr(builder.mul(left, right), ir.Constant(INT128, 64))
        return builder.trunc(product, INT64)

    return types.uint64(types.uint64, types.uint64), emit
