"""`python -m ndbench.bench`."""

import sys

from ndbench.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
