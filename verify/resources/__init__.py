"""Kernels judged by what they compile to: registers, spills, memory, matrix instructions. No GPU is needed."""
