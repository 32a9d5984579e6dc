"""Two commits against each other in one job: `python -m benchmarks.against BASE`."""
