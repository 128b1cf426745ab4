"""Make ``python -m autokaggle`` the same program as ``autokaggle``."""

import sys

from autokaggle.cli import start

if __name__ == "__main__":
    sys.exit(start())
