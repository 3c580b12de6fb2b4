"""An application and its service principal, changed in one `$batch`, each write only after the one before it."""

import asyncio
from collections.abc import Mapping

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from clients.graph.applications import ApplicationCalls
from clients.graph.refusals import is_transient, refusal
from clients.graph.service_principals import ServicePrincipalCalls, service_principal_body
from clients.graph.wire import PATIENCE
from sso.errors import GatehouseError
from sso.model import Application, ServicePrincipal
from sso.steps import ApplicationSettings, ServicePrincipalSettings


class PairCalls(ApplicationCalls, ServicePrincipalCalls):
    """Calls on an application and its service principal together."""

    async def configure(
        self,
        service_principal: ServicePrincipal,
        principal_settings: ServicePrincipalSettings,
        application: Application,
        application_settings: ApplicationSettings,
    ) -> tuple[GatehouseError | None, GatehouseError | None]:
        """Change the service principal, then the application; of each, why it was not carried out, else None.

        The order is the identifier policy's: it exempts a SAML application once it sees the service principal's mode.
        """
        first = self._api.service_principals.by_service_principal_id(service_principal.object_id)
        then = self._api.applications.by_application_id(application.object_id)
        writes = {
            "update service principal": (first, service_principal_body(principal_settings)),
            "update application": (then, await self._application_body(application_settings, application)),
        }
        requests = {
            name: self._wire.request(Method.PATCH, builder.url_template, dict(builder.path_parameters), body)
            for name, (builder, body) in writes.items()
        }
        principal_failed, application_failed = await self._in_order(requests)
        return principal_failed, application_failed

    async def _in_order(self, writes: Mapping[str, RequestInformation]) -> list[GatehouseError | None]:
        """Send idempotent writes, by the names of their operations, in one `$batch`.

        What failed and may pass is sent again within 20 seconds, with what follows it; what was carried out is not.
        """
        left = list(writes.items())
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + PATIENCE * self._wire.wait_scale, 1.0
        while True:
            answers = await self._wire.batch([info for _, info in left], chained=True)
            done = next((place for place, answer in enumerate(answers) if not answer.ok), len(left))
            if done == len(left):
                return [None] * len(writes)
            left, fault = left[done:], answers[done].fault
            wait = (fault.retry_after or pause) * self._wire.wait_scale
            if not is_transient(fault) or loop.time() + wait > give_up:
                failed: GatehouseError = refusal(left[0][0], fault)
                return [None] * (len(writes) - len(left)) + [failed] * len(left)
            await asyncio.sleep(wait)
            pause = min(2 * pause, 8.0)
