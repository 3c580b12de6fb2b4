"""Microsoft Graph: every call that Gatehouse makes, in and out as our own types.

`wire` is the road (retries, batches), `refusals` the meaning of failures, `decode` the reading of answers.
"""

from clients.graph.calls import Graph, Identity

__all__ = ["Graph", "Identity"]
