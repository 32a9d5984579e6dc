"""`python -m ndbench.verify.scaling`."""

import os
import sys

from ndbench.kernels.runtime import interpreted
from ndbench.verify.scaling.command import main

if __name__ == "__main__":
    if "cuda" not in sys.argv and not interpreted():
        # kernels are interpreted if this is set before Python starts
        program = [sys.executable, "-m", "ndbench.verify.scaling", *sys.argv[1:]]
        os.execve(sys.executable, program, {**os.environ, "TRITON_INTERPRET": "1"})
    sys.exit(main())
