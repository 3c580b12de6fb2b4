"""Gatehouse, indexed as the worker does."""

from function_app import app

print("functions", len(app.get_functions()), flush=True)
