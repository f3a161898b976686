"""`python -m millstream` is the `millstream` command."""

from .cli.main import main

if __name__ == "__main__":
    main()
