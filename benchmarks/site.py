"""Libraries beside the site that asv publishes, which else loads them from content networks.

    python -m benchmarks.site .asv/html

fetches them with npm and changes their addresses in index.html to those of the copies. They are the versions that asv
asks for, with two exceptions: flot is the same version, not minified, and stupidtable, which sorts tables, is a later
one, since npm has no other. A browser runs each only if its digest is the one that the page states.
"""

import argparse
import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.npm import install

PACKAGES = (
    "blueimp-md5@2.19.0",
    "bootstrap@3.1.1",
    "flot@0.8.3",
    "flot-orderbars@1.0.0",
    "jquery@3.3.1",
    "stupid-table-plugin@1.1.3",
)
FILES = {
    "bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
    "bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    "jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "jquery.flot.categories.min.js": "flot/jquery.flot.categories.js",
    "jquery.flot.min.js": "flot/jquery.flot.js",
    "jquery.flot.orderBars.js": "flot-orderbars/js/jquery.flot.orderBars.js",
    "jquery.flot.selection.min.js": "flot/jquery.flot.selection.js",
    "jquery.flot.time.min.js": "flot/jquery.flot.time.js",
    "md5.min.js": "blueimp-md5/js/md5.min.js",
    "stupidtable.min.js": "stupid-table-plugin/stupidtable.min.js",
}
"""Of packages, by the last part of the address in the page."""

DIGESTS = {
    "jquery.flot.categories.min.js": "sha256-boFmSyjqeVxzSQb0qhVhRkCnWsf705mn+5CEBAaYNRo=",
    "jquery.flot.min.js": "sha256-t7kx8nPDixJ3ucbB9OBcTsCYhaSHvdrzJ54tfkmjjhI=",
    "jquery.flot.selection.min.js": "sha256-5shfbB6+S02inYriOMfFBgKD8F9+8FT2uRgX0CwJKRg=",
    "jquery.flot.time.min.js": "sha256-pYLIMq3HE4prBar2HxbrrCdHAfG+Sv6nfnOaHDS5xBo=",
    "stupidtable.min.js": "sha256-RkI4Dyjr6e18rCUXk7KB74YgxDhiBdkniPmxL1zOtOA=",
}
"""Of the files that are not those of the content networks."""

REMOTE = re.compile(r'(?P<attribute>src|href)="(?P<address>https://[^"]+)" integrity="(?P<digest>[^"]+)"')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("html", type=Path, help="the folder that asv publish wrote")
    html = parser.parse_args().html
    try:
        complete(html)
    except (OSError, ValueError, subprocess.CalledProcessError) as refusal:
        print(f"benchmarks.site: {refusal}", file=sys.stderr)
        sys.exit(2)


def complete(html):
    """Fetch the libraries into the folder of the site, and let its page load them from there."""
    page = html / "index.html"
    text = page.read_text()
    fetch(html / "libraries")
    page.write_text(REMOTE.sub(lambda found: local(found, html), text))


def fetch(folder):
    """Copy the files into a folder; nothing of their packages is run."""
    with tempfile.TemporaryDirectory() as scratch:
        install(scratch, *PACKAGES)
        for path in FILES.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(scratch, "node_modules", path), folder / path)


def local(found, html):
    """The attributes of one library in the page: its copy, and the digest that the copy must have."""
    name = found["address"].rpartition("/")[2]
    if name not in FILES:
        raise ValueError(f"asv's page loads {found['address']}, which is not in FILES; add it there")
    path = f"libraries/{FILES[name]}"
    digest = DIGESTS.get(name, found["digest"])
    method = digest.partition("-")[0]
    is_there = base64.b64encode(hashlib.new(method, (html / path).read_bytes()).digest()).decode()
    if digest != f"{method}-{is_there}":
        raise ValueError(f"{path} should have the digest {digest}, and has {method}-{is_there}")
    return f'{found["attribute"]}="{path}" integrity="{digest}"'


if __name__ == "__main__":
    main()
