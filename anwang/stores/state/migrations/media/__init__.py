"""The media index."""
