"""A local Functions host: serves one function_app.py over the wire by the rules of the real host, for development."""

STORAGE = "SANDBOX_HOST_STORAGE"
"""The setting that names the storage that the host polls, where the app's own calls take another way to it."""
