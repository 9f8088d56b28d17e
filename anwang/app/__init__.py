"""The composition root: builds everything, owns the listener and the life of processes."""
