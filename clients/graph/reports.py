"""Reports: what only the beta tells, about the past and some days late. Nobody waits for one."""

from datetime import datetime

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph.calls import GraphCalls, quoted, values_of
from clients.graph.decode import moment
from sso.model import KeyId

_CREDENTIAL_USE = "{+baseurl}/reports/appCredentialSignInActivities{?%24filter}"


class ReportCalls(GraphCalls):
    """Calls on reports, in the Global cloud only; the service takes 5 of them in 10 seconds (graph-contract 5)."""

    async def last_use(self, key_id: KeyId) -> datetime | None:
        """When somebody last signed in with a credential; None where the report says nothing, or does not answer.

        Asked once: a report that is throttled, not licensed or not there is not worth a second call.
        """
        info = self._wire.beta(RequestInformation(Method.GET, _CREDENTIAL_USE))
        info.query_parameters = {"%24filter": f"keyId eq '{quoted(key_id)}'"}
        answer = await self._wire.answer(info)
        if not answer.ok:
            return None
        rows = [row.get("signInActivity") or {} for row in values_of(answer.body) if row.get("keyId") == key_id]
        try:
            return max((moment(use) for row in rows if (use := row.get("lastSignInDateTime"))), default=None)
        except ValueError:  # a hint that cannot be read is none
            return None
