"""What a test needs and a machine may not have: without it CI fails, and elsewhere the test is skipped and says why."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from services.java import ServiceUnavailable


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have this: {what}")
    pytest.skip(what)


@contextmanager
def needed() -> Iterator[None]:
    """Around whatever raises ServiceUnavailable."""
    try:
        yield
    except ServiceUnavailable as error:
        missing(str(error))
