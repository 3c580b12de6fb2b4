"""Telling of a failure: the operation is written first, marked as one to tell; the sweep tells what was cut there."""

import contextlib
import logging
from dataclasses import replace

from clients.ledger import Changed
from clients.tenant.parts import Parts
from sso.errors import GatehouseError
from sso.letters import Asked, compose_operation_failed
from sso.operation import Operation

_log = logging.getLogger(__name__)


async def tell_failed(parts: Parts, operation: Operation) -> None:
    """Mail why an operation failed, then take its mark away: cut in between, the mail is sent once more.

    To the owner, or to the operators where the operation is of no single application. A mail that cannot be sent leaves
    the mark: it may be the mail that failed, and whoever asks for the operation reads why.
    """
    key, owner = operation.key, operation.request.get("owner")
    profile = parts.catalog.find(key.vendor) if key else None
    try:
        letter = compose_operation_failed(
            key,
            profile.name if profile else None,
            organisation=parts.organisation,
            owner=await parts.find_principal(owner) if owner else None,
            operation=operation.id,
            kind=operation.kind,
            reasons=operation.reasons,
            asked=Asked(operation.requested_by, operation.ticket),
        )
        await parts.mail(letter)
    except GatehouseError as error:
        _log.warning("Nobody could be told yet that operation %s failed: %s", operation.id, error)
        return
    with contextlib.suppress(Changed):  # it was replayed meanwhile
        await parts.ledger.replace_operation(replace(operation, to_tell=False))
