"""What is measured, and how: `python -m benchmarks` runs all of it, each module has a `measure(quick)` of its own."""
