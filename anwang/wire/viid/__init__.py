"""GA/T 1400 (视图库, VIID): objects, bodies, ids, times and access of its HTTP interface, for both ends.

`bodies` reads leniently and writes strictly, `objects` are what is read, `ids` and `times` take their texts apart,
`images` unpacks pictures, `access` is the digest of registration. Objects of people are refused and counted, unread.
"""
