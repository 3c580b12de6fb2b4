"""The people, groups and own service principals of contoso.com, the same for the same seed."""

from sandbox.directory import Directory

DOMAIN = "contoso.com"


def seed_directory(directory: Directory) -> Directory:
    """Fill an empty directory and return it."""
    return directory
