"""Sans-IO codecs and protocol machines: bytes to typed values and back. No sockets, no clock."""
