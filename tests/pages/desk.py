"""What the tests of the page hold in their hands: a hand-off's link and code as mailed, and its row in the ledger."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from sso.codes import code_from, token_hash_of
from tests.world import Reply, World

LINK = re.compile(r"^Page: (https://\S+/api/handoffs/([A-Za-z0-9_-]{43}))$", re.MULTILINE)
CODE = re.compile(r"^Code: (\S+)$", re.MULTILINE)
REFERENCE = re.compile(r"^Reference: (GH-\w{8})$", re.MULTILINE)
VALUE = re.compile(r"<dt>([^<]*)</dt><dd><code>([^<]*)</code>")
WRONG = code_from(b"\x07" * 16)
"""Well-formed, and the code of no page: codes are drawn."""


@dataclass(frozen=True)
class Handoff:
    """One hand-off as its two mails told it."""

    vendor: str
    operation: str
    link: str
    token: str
    code: str
    reference: str


class Desk:
    """A person at the vendor, who can also look into the ledger."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def open(self, vendor: str = "smarttrace") -> Handoff:
        """Onboard a vendor and return its hand-off."""
        return await self._newest(vendor, await self.world.onboard(vendor))

    async def open_again(self, vendor: str = "smarttrace") -> Handoff:
        """Issue the next hand-off of an onboarded vendor."""
        reply = await self.world.api("POST", f"/applications/{vendor}/default/handoffs")
        assert reply.status == 202, reply.text
        return await self._newest(vendor, await self.world.rest(reply.body["operation"]))

    async def renew(self, vendor: str) -> Handoff:
        """Ask for a new credential of an onboarded vendor and return its hand-off."""
        reply = await self.world.api("POST", f"/applications/{vendor}/default/rotations", {"reason": "planned"})
        assert reply.status == 202, reply.text
        return await self._newest(vendor, await self.world.rest(reply.body["operation"]))

    async def look(self, handoff: Handoff, method: str = "GET") -> Reply:
        """Open the page."""
        return await self.world.api(method, f"/handoffs/{handoff.token}")

    async def press(self, handoff: Handoff, action: str, code: str, text: str | None = None) -> Reply:
        """Press a button, the code entered."""
        form = {"action": action, "code": code} | ({} if text is None else {"text": text})
        return await self.world.api("POST", f"/handoffs/{handoff.token}", data=form)

    async def row(self, handoff: Handoff) -> Mapping[str, Any]:
        """The page's row with its ETag: equal exactly where nothing was written in between."""
        async with self._tables() as service:
            row = await service.get_table_client("gatehouse").get_entity("page", token_hash_of(handoff.token))
        return {**json.loads(row["value0"]), "ETag": row.metadata["etag"]}

    async def change(self, handoff: Handoff, **changes: Any) -> None:
        """Change the page's row behind the app's back."""
        async with self._tables() as service:
            table = service.get_table_client("gatehouse")
            row = await table.get_entity("page", token_hash_of(handoff.token))
            row["value0"] = json.dumps({**json.loads(row["value0"]), **changes})
            await table.update_entity(row, mode=UpdateMode.REPLACE)

    async def mails(self, subject: str) -> list[dict[str, Any]]:
        """Every mail with these words in its subject."""
        return [mail for mail in await self.world.mailbox() if subject in mail["subject"]]

    async def _newest(self, vendor: str, operation: Mapping[str, Any]) -> Handoff:
        # A credential that was acknowledged once needs no second acknowledgement, so its next hand-off waits for none.
        assert operation["state"] in {"waiting", "done"}, operation
        texts = [mail["text"].replace("\r\n", "\n") for mail in reversed(await self.world.mailbox())]
        link = next(found for text in texts if (found := LINK.search(text)))
        reference = REFERENCE.search(link.string)
        assert reference
        code = next(found for text in texts if (found := CODE.search(text)) and reference[0] in text)
        return Handoff(vendor, operation["operation"], link[1], link[2], code[1], reference[1])

    def _tables(self) -> TableServiceClient:
        return TableServiceClient.from_connection_string(self.world.state.storage)


def values(reply: Reply) -> dict[str, str]:
    """The values that a page shows, by the vendor's field."""
    return dict(VALUE.findall(reply.text))
