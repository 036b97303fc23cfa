"""Benchmarks: each runs the thing and its reference interleaved in one run and prints medians and their ratio."""
