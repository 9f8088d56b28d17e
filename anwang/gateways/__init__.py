"""The outermost ring towards devices."""
