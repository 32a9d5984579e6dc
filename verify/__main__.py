"""`python -m ndbench.verify`."""

import sys

from ndbench.verify.command import main

if __name__ == "__main__":
    sys.exit(main())
