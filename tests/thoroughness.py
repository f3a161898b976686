"""How much the tests try: all of it in CI and with `make test ALL=1`, a part in a plain `make test`."""

import os

WHOLE = bool(os.environ.get("CI") or os.environ.get("ALL"))
PART = 5


def some(count: int) -> int:
    """Of so many examples, seeds or rounds: all, or a fifth of them and at least one."""
    return count if WHOLE else -(-count // PART)
