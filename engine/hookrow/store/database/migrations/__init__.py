"""The schema's migrations, run by Alembic; they ship in the wheel. One module of `versions` is one version."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["HEAD", "SCRIPTS"]

SCRIPTS = Path(__file__).parent
"""The folder with `versions/`."""
HEAD = max(name[1:5] for name in os.listdir(SCRIPTS / "versions") if name[0] == "v" and name.endswith(".py"))
"""The newest version that this Hookrow knows."""
