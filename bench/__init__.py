"""Measures Hookrow against the limit and against what people would use instead: `python -m bench` (`make bench`)."""
