"""`python -m ndbench.verify.resources`."""

import sys

from ndbench.verify.resources.command import main

if __name__ == "__main__":
    sys.exit(main())
