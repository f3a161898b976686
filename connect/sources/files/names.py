"""What rotations call the older lives of a file: app.log.1, app.log-20261121, app.log.2.gz, app.log.old. Pure.

Tested in tests/connect/sources/test_tracking.py.
"""

import re

GZIP_SUFFIXES = (".gz", ".gzip")
NUMBERED = re.compile(r"([-._]\d+)+$")


def is_compressed(path: str) -> bool:
    return path.endswith(GZIP_SUFFIXES)


def base(path: str) -> str:
    """The name of the file that is written to: without numbers, dates and .gz at the end."""
    return NUMBERED.sub("", unpacked(path))


def unpacked(path: str) -> str:
    """The name of the file that was packed: without .gz at the end."""
    for suffix in GZIP_SUFFIXES:
        path = path.removesuffix(suffix)
    return path


def is_rotated_name(path: str, original: str) -> bool:
    """Whether a rotation of `original`, which may itself be a rotated one, may call a copy of it `path`."""
    if path == original:
        return False
    return (base(path) == base(original) and path != base(path)) or path.startswith(original)
