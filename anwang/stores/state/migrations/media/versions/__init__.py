"""Revisions of the media index."""
