"""``python -m tinyrnn``: the command line."""

import sys

from tinyrnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
