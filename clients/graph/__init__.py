"""Microsoft Graph: every call that Gatehouse makes, in and out as our own types.

`wire` is the road (retries, batches), `refusals` the meaning of failures, `decode` the reading of answers; the calls
stand by Graph's own nouns.
"""

from clients.graph.directory import DirectoryCalls
from clients.graph.pairs import PairCalls
from clients.graph.people import PeopleCalls
from clients.graph.policies import PolicyCalls
from clients.graph.reports import ReportCalls

__all__ = ["Graph"]


class Graph(PairCalls, PeopleCalls, DirectoryCalls, PolicyCalls, ReportCalls):
    """Microsoft Graph of one tenant."""
