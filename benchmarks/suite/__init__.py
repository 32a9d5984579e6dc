"""The asv suite, one subject a file.

asv imports this folder as `suite`, from the checkout, beside the package of the commit that it measures. So nothing
here imports ndbench or PyTorch before a benchmark runs: what an older commit lacks is skipped with the reason, and
processes that only look up what was tracked start at once.
"""
