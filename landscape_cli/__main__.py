"""`python -m landscape_cli`: the same as the `landscape` command."""

import sys

from landscape_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
