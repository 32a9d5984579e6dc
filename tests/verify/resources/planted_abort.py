"""Ends the process that imports it, as a compiler may; spares the one that runs the tests."""

import multiprocessing
import os

if multiprocessing.parent_process() is not None:
    os.write(2, b"LLVM ERROR: Cannot select: intrinsic\n")
    os.abort()
