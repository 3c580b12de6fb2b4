"""Microsoft Graph: every call that Gatehouse makes, in and out as our own types.

`wire` is the road (retries, batches), `refusals` the meaning of failures, `decode` the reading of answers; the calls
stand by Graph's own nouns.
"""

from clients.graph.applications import ApplicationCalls
from clients.graph.directory import DirectoryCalls
from clients.graph.people import PeopleCalls
from clients.graph.service_principals import ServicePrincipalCalls

__all__ = ["Graph"]


class Graph(ApplicationCalls, ServicePrincipalCalls, PeopleCalls, DirectoryCalls):
    """Microsoft Graph of one tenant."""
