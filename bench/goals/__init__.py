"""One module a goal, A to H: each has `TITLE` and `measure(bench)`, which yields the rows of the table."""
