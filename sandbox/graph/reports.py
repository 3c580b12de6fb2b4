"""Graph's reports, in beta: which credentials were used to sign in (graph-contract section 15)."""

from sandbox.graph.pages import page
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler

CREDENTIAL_USE = "reports.ListAppCredentialSignInActivity"


async def list_credential_uses(request: GraphRequest) -> GraphAnswer:
    """List the client secrets that were used, each with its last use; those that were not have no row."""
    rows = request.tenant.credential_uses.rows(request.tenant.switches.report_lag_seconds)
    return page(request, rows, "appCredentialSignInActivity", "reports/appCredentialSignInActivities")


HANDLERS: dict[str, Handler] = {CREDENTIAL_USE: list_credential_uses}
