"""Azurite, the storage emulator: its pinned dependencies, its installation and its process."""
