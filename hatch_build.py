"""What the wheel says of itself: the README, whose links lead somewhere where no repository is around, or are none."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://)([^)\s]+)\)")
"""A link to a file of the repository or to a place in the page, or a picture of it."""


def described(text: str, source: str | None) -> str:
    """The description.

    Args:
        source: the repository's public address. Where there is none yet, a file is named instead of linked to.
    """

    def told(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        if source is not None:
            return f"{picture}[{words}]({source}/blob/main/{'README.md' if target[0] == '#' else ''}{target})"
        if picture:
            return ""
        return words if target[0] == "#" else f"{words} ({target})"

    return LINK.sub(told, text)


class Description(MetadataHookInterface):
    """Gives `readme`; the rest of the metadata stands in pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Take the README, and the address of the source where `project.urls` has one."""
        text = Path(self.root, "README.md").read_text("utf-8")
        source = metadata.get("urls", {}).get("Source")
        metadata["readme"] = {"content-type": "text/markdown", "text": described(text, source)}
