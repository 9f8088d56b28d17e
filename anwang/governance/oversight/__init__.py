"""What people did, as the supervisor sees it: a month in numbers, and what is unusual of a single account."""
