"""Microsoft Graph as far as the app calls it: `routes` is the door, `dispatch` the way of one call."""

from sandbox.graph.service import routes

__all__ = ["routes"]
