"""What a child of fork must not inherit: a lock that somebody has who does not exist there."""
