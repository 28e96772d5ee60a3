"""Benchmarks: the stages one by one, and the whole pipeline against plain Faust, in one run."""
