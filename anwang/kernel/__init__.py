"""Pure values every layer shares: ids, times, places, units, errors, national code tables."""
