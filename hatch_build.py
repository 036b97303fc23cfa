"""What the wheel says of itself: the README, with links that lead somewhere where no repository is around."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(?<=\]\()(?!https?://)(?=[^)\s]+\))")
"""The place before the address of a link to a file of the repository."""


class Description(MetadataHookInterface):
    """Gives `readme`; the rest of the metadata stands in pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the address of the source, `project.urls`, before every link to a file."""
        text = Path(self.root, "README.md").read_text("utf-8")
        files = metadata["urls"]["Source"] + "/blob/main/"
        text = RELATIVE.sub(files, text.replace("](#", "](README.md#"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
