"""The interface's tests share a fake engine, goldens and a terminal: `from fake_engine import FakeEngine`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
