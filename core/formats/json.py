"""JSON objects to columns of a declared schema and back. Pure.

Rows that the scanner (kernels/json_scan.py) does not take go one by one through json_rows.py, which reads them or says
what is wrong. Names that the schema lacks are ignored, missing ones are null, of a repeated name the last one counts.
Tests: tests/core/formats/test_json.py.
"""

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import PlanError
from ..kernels.arrow import BinaryBuffers, binary_buffers
from .api import NULL_VALUE, DecodedColumns, RowFailure, good_rows
from .cells import Cells, columns_of
from .json_rows import RowFault, coercion, integer_bounds, is_time, read_object

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

INTEGER, DOUBLE, BOOLEAN, STRING, TIME, OTHER = range(6)
BYTES_AT_ONCE_MAX: Final = 1 << 30


class JsonFormat:
    """Values that are JSON objects. Without a schema it can only write.

    schema: a pa.Schema of integers, floats, bool, string, timestamp("ms", tz="UTC"), and date32, binary, lists and
    structs of these (with which all rows are read one by one). A time is read from an integer of ms or from ISO-8601
    text, and written as ms. A field that is not nullable has to be there in every row.
    """

    def __init__(self, schema: pa.Schema | None = None) -> None:
        self._plan = None if schema is None else _Plan(schema)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([]) if self._plan is None else self._plan.schema

    def decode(self, values: Any) -> DecodedColumns:
        if self._plan is None:
            raise PlanError("json: values are read with a schema; declare the fields that are wanted and their types")
        buffers = binary_buffers(values, "value")
        rows = len(values)
        if int(buffers.ends[rows]) - int(buffers.ends[0]) > BYTES_AT_ONCE_MAX and rows > 1:
            half = rows // 2
            return joined(self.decode(values.slice(0, half)), self.decode(values.slice(half)), half)
        return _Decoding(self._plan, buffers, rows).run()

    def encode(self, columns: pa.RecordBatch) -> Any:
        from .json_write import encode_columns

        return encode_columns(columns)


class _Plan:
    """What is known from the schema alone."""

    def __init__(self, schema: pa.Schema) -> None:
        repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if repeated:
            raise PlanError(f"json: field {', '.join(repeated)} is declared more than once; each needs its own name")
        if not schema.names:
            raise PlanError("json: the schema has no fields; declare those that are to be read")
        self.schema = schema
        self.coercions = [coercion(field.type, field.name) for field in schema]
        self.kinds = [kind_of(field.type) for field in schema]
        self.names = np.frombuffer("".join(schema.names).encode() or b"\0", np.uint8)
        self.table = self._field_table()
        self.members = [
            (index, field.name, field.nullable, *known)
            for index, (field, *known) in enumerate(zip(schema, self.kinds, self.coercions, strict=True))
        ]
        self.float32s = [index for index, field in enumerate(schema) if pa.types.is_float32(field.type)]

    def __reduce__(self) -> tuple[type["_Plan"], tuple[pa.Schema]]:
        """A copy is made anew: the table holds addresses, which are of use in this object only."""
        return _Plan, (self.schema,)

    def _field_table(self) -> Int64s:
        """The table that kernels/json_scan.py reads; it holds addresses inside self.names."""
        rows = []
        at = self.names.ctypes.data
        for field, kind in zip(self.schema, self.kinds, strict=True):
            name = field.name.encode()
            low, high = integer_bounds(field.type) if kind == INTEGER else (-(2**63), 2**63 - 1)
            first_word = int.from_bytes(name[:8], "little")
            first_mask = (1 << 8 * min(8, len(name))) - 1
            rows.append([kind, low, high, not field.nullable, at, len(name), first_word, first_mask])
            at += len(name)
        return np.array([[value % 2**64 for value in row] for row in rows], np.uint64).view(np.int64)


def kind_of(kind: Any) -> int:
    if pa.types.is_integer(kind):
        return INTEGER
    if pa.types.is_floating(kind):
        return DOUBLE
    if pa.types.is_boolean(kind):
        return BOOLEAN
    if pa.types.is_string(kind):
        return STRING
    return TIME if is_time(kind) else OTHER


def joined(first: DecodedColumns, second: DecodedColumns, first_rows: int) -> DecodedColumns:
    table = pa.Table.from_batches([first.columns, second.columns]).combine_chunks()
    batch = table.to_batches()[0] if table.num_rows else first.columns
    failures = [*first.failures, *(RowFailure(row + first_rows, cause) for row, cause in second.failures)]
    return DecodedColumns(batch, np.concatenate([first.rows, second.rows + first_rows]), failures)


class _Decoding:
    """One run of decode: the cells, the texts that the slow path made, and the failures."""

    def __init__(self, plan: _Plan, buffers: BinaryBuffers, rows: int) -> None:
        from ..kernels import json_scan

        fields = len(plan.kinds)
        self.plan = plan
        self.buffers = buffers
        self.rows = rows
        self.scan = json_scan
        self.cells = json_scan.Cells(
            np.empty((fields, rows), np.int64), np.zeros((fields, rows), np.uint8), np.empty(rows, np.uint8)
        )
        self.more = bytearray()
        self.objects: dict[int, list[Any]] = {
            index: [None] * rows for index, kind in enumerate(plan.kinds) if kind == OTHER
        }
        self.failures: list[RowFailure] = []

    def run(self) -> DecodedColumns:
        if self.objects:
            self.cells.status[:] = self.scan.SLOW
            others = self.rows
        else:
            others = self._scan_rows()
        others += sum(self._too_large_for_float32(index) for index in self.plan.float32s)
        if others:
            self._read_slow_rows()
        rows = good_rows(self.rows, self.failures)
        more = np.frombuffer(bytes(self.more), np.uint8)
        cells = Cells(self.cells.values, self.cells.valid, self.buffers.data, more)
        arrays = columns_of(self.plan.schema, cells, rows, leave_out=self.objects)
        for index, objects in self.objects.items():
            arrays[index] = pa.array([objects[row] for row in rows.tolist()], self.plan.schema.field(index).type)
        return DecodedColumns(pa.RecordBatch.from_arrays(arrays, schema=self.plan.schema), rows, self.failures)

    def _scan_rows(self) -> int:
        """Let the scanner take the rows that it can, and keep the texts that it unescaped; how many it left."""
        from ..kernels.numbers import POWERS

        size = int(self.buffers.ends[self.rows]) - int(self.buffers.ends[0])
        room = np.empty(size, np.uint8)
        more = np.array([room.ctypes.data, len(self.buffers.data), 0], np.int64)
        others = self.scan.scan_rows(self.buffers, self.plan.table, POWERS, self.cells, more)
        self.more += room[: int(more[2])].tobytes()
        return others

    def _too_large_for_float32(self, index: int) -> int:
        """Leave rows whose value would become infinite to the slow path; how many."""
        with np.errstate(over="ignore", invalid="ignore"):
            infinite = np.isinf(self.cells.values[index].view(np.float64).astype(np.float32))
        infinite &= self.cells.valid[index] > 0
        self.cells.status[infinite] = self.scan.SLOW
        return int(np.count_nonzero(infinite))

    def _read_slow_rows(self) -> None:
        buffers, validity = self.buffers, self.buffers.validity
        data = memoryview(buffers.data.data)
        for row in np.flatnonzero(self.cells.status).tolist():
            bit = buffers.first_bit + row
            if len(validity) and not validity[bit >> 3] >> (bit & 7) & 1:
                self.failures.append(RowFailure(row, NULL_VALUE))
                continue
            try:
                self._read_row(row, bytes(data[buffers.ends[row] : buffers.ends[row + 1]]))
            except RowFault as fault:
                self.failures.append(RowFailure(row, str(fault)))

    def _read_row(self, row: int, value: bytes) -> None:
        found = read_object(value)
        for index, name, is_nullable, kind, coerce in self.plan.members:
            member = found.get(name)
            if member is not None:
                try:
                    self._store(index, row, kind, coerce(member))
                except RowFault as fault:
                    raise RowFault(f"field {name}: {fault}") from None
            elif is_nullable:
                self.cells.valid[index, row] = 0
            else:
                raise RowFault(f"field {name} is missing or null")

    def _store(self, index: int, row: int, kind: int, value: Any) -> None:
        self.cells.valid[index, row] = 1
        if kind == OTHER:
            self.objects[index][row] = value
        elif kind == STRING:
            text = value.encode()
            self.cells.values[index, row] = (len(self.buffers.data) + len(self.more)) << 31 | len(text)
            self.more += text
        elif kind == DOUBLE:
            self.cells.values[index, row] = struct.unpack("<q", struct.pack("<d", value))[0]
        else:
            self.cells.values[index, row] = value
