"""One story per event, readable top to bottom: what happens, in order, and how it ends.

A story is imported at its first use (PEP 562), because the host indexes `function_app.py` on every cold start and the
Azure SDKs behind the stories take several times as long to import as the programming model itself.
"""

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """Import a story when it is first asked for."""
    try:
        return import_module(f"handlers.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"handlers.{name}":
            raise
        raise AttributeError(name) from None
