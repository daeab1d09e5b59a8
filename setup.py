"""Add to the metadata where the project lives, which only a release knows.

It is told by GRADIENTHUB_URL, as https://host/owner/name. The links of the README are then
absolute, so that they work on a package index; else they stay those of a checkout.
"""

import os
import re
from pathlib import Path

from setuptools import setup

url = os.environ.get("GRADIENTHUB_URL", "").rstrip("/")
readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
project_urls = {}

if url:
    target = r"(?<=\]\()(?!https?:|#)"
    readme = re.sub(rf"{target}(?=[^)]+\.(?:png|gif)\))", f"{url}/raw/HEAD/", readme)
    readme = re.sub(target, f"{url}/blob/HEAD/", readme)
    project_urls = {
        "Source": url,
        "Documentation": f"{url}/tree/HEAD/docs",
        "Changelog": f"{url}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }

setup(long_description=readme, project_urls=project_urls)
