"""The vendor catalogue: one TOML file per vendor, its schema and the look-up by slug.

Everything that Gatehouse knows about a vendor stands in that vendor's file; this package reads it, checks it
completely and hands out frozen values. Reading its own TOML is the only I/O here.
"""
