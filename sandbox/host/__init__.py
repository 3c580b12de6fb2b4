"""A local Functions host: serves one function_app.py over the wire by the rules of the real host, for development."""
