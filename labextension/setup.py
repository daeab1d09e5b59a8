"""Write the version into the package.json that JupyterLab reads.

Git tags name it; the file in git says 0.0.0.
"""

import json
from pathlib import Path

from setuptools import setup  # isort: split

# Setuptools provides this module, under this name only, once it is imported.
from distutils.command.install_data import install_data


class InstallData(install_data):
    """Copy the data files, and set the version in the one that has one."""

    def run(self):
        super().run()
        for path in map(Path, self.outfiles):
            if path.name == "package.json":
                package = json.loads(path.read_text(encoding="utf-8"))
                package["version"] = self.distribution.get_version()
                path.write_text(json.dumps(package, indent=2) + "\n", encoding="utf-8")


setup(cmdclass={"install_data": InstallData})
