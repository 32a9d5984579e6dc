"""`python -m ndbench`."""

import sys

from ndbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
