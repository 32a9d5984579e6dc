"""`python -m ndbench.verify.scaling`."""

import sys

from ndbench.verify.scaling.command import main

if __name__ == "__main__":
    sys.exit(main())
