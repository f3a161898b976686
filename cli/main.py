"""Entry point of the `millstream` command: a Ctrl-C while it is still being imported ends it without a traceback.

Tests: tests/cli/test_stopping.py.
"""

import sys

INTERRUPTED = 130


def main() -> None:
    """Runs the command that the command line names."""
    try:
        from .app import app

        app()
    except KeyboardInterrupt:
        print("interrupted before anything was begun", file=sys.stderr)
        sys.exit(INTERRUPTED)
