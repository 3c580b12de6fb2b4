"""How a measured program authenticates: with a token in hand, or by fetching one as the app does."""

import os
import time
from types import TracebackType
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

TOKEN = "GRAPH_TOKEN"  # noqa: S105  # the name of an environment variable


class TokenInHand(AsyncTokenCredential):
    """The token of the environment, good for an hour."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return it."""
        return AccessToken(os.environ[TOKEN], int(time.time()) + 3600)

    async def close(self) -> None:
        """Hold nothing."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Hold nothing."""


def credential() -> AsyncTokenCredential:
    """The token in hand where there is one, else the app's own credential, imported only then."""
    if TOKEN in os.environ:
        return TokenInHand()
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(require_envvar=True)
