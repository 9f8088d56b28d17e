"""The outermost ring towards people: API assembly, event stream, tiles, the UI's files."""
