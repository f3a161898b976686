"""compile_kernels leaves nothing to compile for whoever comes later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT_MISSES = """
import importlib, pkgutil
import pyarrow as pa
from numba.core.dispatcher import Dispatcher
from millstream.core import kernels
from millstream.core.formats.warm import compile_kernels
compile_kernels()
misses = [
    f"{module.name}.{name}"
    for module in pkgutil.iter_modules(kernels.__path__)
    for name, item in vars(importlib.import_module(f"{kernels.__name__}.{module.name}")).items()
    if isinstance(item, Dispatcher) and item.stats.cache_misses
]
print(misses)
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COUNT_MISSES]

    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert first.stdout != "[]\n"
    assert second.stdout == "[]\n"
