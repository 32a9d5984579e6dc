"""Commands that measure, each `python -m benchmarks.NAME`; the suite of asv is in `suite`."""
