"""Measures the worker on real servers: throughput, latency, CPU per adjustment, and what limits it.

`python -m tests.benchmarks --help` says how. Timings never fail anything; wrong books do.
"""
