"""Compiles every kernel of records and formats into numba's cache, so that the first batch of a user need not wait.

`python -m millstream.core.formats.warm`; 20 to 30 s of CPU time on a new installation, a second later on.
Shell-free, but slow: call it at installation or in a process of its own. Tests: tests/core/formats/test_warm.py.
"""

import pyarrow as pa

from ..records import warm
from .json import JsonFormat
from .logs import combined_log
from .text import TextFormat


def compile_kernels() -> None:
    """Run each kernel once on a row or two."""
    values = warm.compile_kernels().columns.column(3)
    combined_log().decode(values)
    TextFormat().decode(values)
    json = JsonFormat(pa.schema([("n", pa.int64()), ("x", pa.float64()), ("text", pa.string())]))
    decoded = json.decode(pa.array([b'{"n":1,"x":1.5,"text":"a"}'], pa.binary()))
    json.encode(decoded.columns)


if __name__ == "__main__":
    compile_kernels()
