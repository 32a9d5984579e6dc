"""The report as JSON."""

import json
import math
from pathlib import Path
from typing import Any

from ndbench.verify.runner import Report
from ndbench.verify.verdict import Status, Verdict

SCHEMA = 1
"""Raised when a field changes its meaning or goes away."""


def record(report: Report) -> dict[str, Any]:
    """The report as plain data. Numbers that JSON lacks (NaN, infinity) are strings."""
    return {
        "schema": SCHEMA,
        "environment": report.environment,
        "seconds": report.seconds,
        "counts": {str(status): report.count(status) for status in Status},
        "verdicts": [_verdict(verdict) for verdict in report.verdicts],
    }


def save(report: Report, path: str | Path) -> None:
    """Write the record to a file, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record(report), indent=1, allow_nan=False) + "\n")


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "operation": verdict.operation,
        "check": verdict.check,
        "implementation": verdict.implementation,
        "problem": verdict.problem,
        "device": verdict.device,
        "status": str(verdict.status),
        "measured": _number(verdict.measured),
        "budget": _number(verdict.budget),
        "reason": verdict.reason,
        "evidence": {name: _number(value) for name, value in verdict.evidence.items()},
    }


def _number(value: float | str) -> float | str:
    return value if isinstance(value, str) or math.isfinite(value) else str(value)
