"""Agreements by which another department may pull from here: what, by which accounts, for what purpose, until when."""
