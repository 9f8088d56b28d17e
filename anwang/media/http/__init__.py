"""Routes of the media slice, by noun: live video, recordings."""
