"""The four store ports and their engines: state, series, objects, bus; and the backup of all of them."""
