"""The version, as the installation recorded it: the build takes it from the git tags."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gradienthub")
except PackageNotFoundError:
    # A checkout on the path that nobody installed.
    __version__ = "0.0.0+unknown"
