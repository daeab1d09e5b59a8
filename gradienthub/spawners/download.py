"""A download's progress, from the lines that an engine tells while it pulls an image."""

from dataclasses import dataclass, field

from .docker_types import PullLine


@dataclass
class Download:
    """Bytes of the image's layers so far. Layers that the host has already are not counted."""

    _layers: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, line: PullLine) -> None:
        """Read one line of the engine. One of an unknown kind changes nothing."""
        layer, detail = line.get("id"), line.get("progressDetail") or {}
        if not isinstance(layer, str):
            return
        if line.get("status") == "Downloading" and (total := detail.get("total")):
            self._layers[layer] = (int(detail.get("current") or 0), int(total))
        elif line.get("status") in ("Download complete", "Pull complete") and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)

    @property
    def done(self) -> int:
        """Bytes here."""
        return sum(done for done, _total in self._layers.values())

    @property
    def total(self) -> int:
        """Bytes of all layers begun so far; it grows while the engine finds more."""
        return sum(total for _done, total in self._layers.values())

    def __str__(self) -> str:
        """Return "2.1 of 3.4 GB", or nothing before the first layer."""
        if not self.total:
            return ""
        return f"{self.done / 1e9:.1f} of {self.total / 1e9:.1f} GB"
