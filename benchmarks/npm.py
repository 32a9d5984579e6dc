"""Packages that npm has and PyPI has not."""

import shutil
import subprocess


def install(folder, *packages):
    """Put packages into folder/node_modules; nothing of theirs is run.

    Raises:
        ValueError: if npm is not there.
        subprocess.CalledProcessError: if it fails.
    """
    npm = shutil.which("npm")
    if not npm:
        raise ValueError("npm is not there to fetch with")
    quiet = ("--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    subprocess.run([npm, "install", *quiet, f"--prefix={folder}", *packages], check=True, stdout=subprocess.DEVNULL)
