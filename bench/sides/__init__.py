"""Programs that stand on either side of a comparison, each in a process of its own: `bench.sides.program` runs them.

A side prints a JSON line when it is ready, then answers each JSON line on its standard input with one on its standard
output, and ends with it. Sides of peers run in `.venv-bench` and import nothing of Hookrow's.
"""
