"""The hand-off's page, used as a person at the vendor uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree, html

from sandbox.wire import Reply, Wire


@dataclass(frozen=True)
class Shown:
    """What the page showed: its status, the buttons it offers, and the values on it."""

    status: int
    heading: str
    actions: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


class HandoffPage:
    """One page at one address."""

    def __init__(self, wire: Wire, address: str) -> None:
        self._wire = wire
        self._address = address

    async def look(self) -> Shown:
        """Open the page."""
        return _read(await self._wire.get(self._address))

    async def press(self, action: str, code: str) -> Shown:
        """Press a button, the code entered."""
        return _read(await self._wire.post(self._address, {"action": action, "code": code}))


def _read(reply: Reply) -> Shown:
    if reply.content_type != "text/html" or not reply.text.strip():
        return Shown(reply.status, "")
    document = html.document_fromstring(reply.text)
    values: dict[str, str] = {}
    for listed in document.iter("dl"):
        if "values" in (listed.get("class") or "").split():
            labels = [_text(term).rstrip(":").strip().casefold() for term in listed.iter("dt")]
            values.update(zip(labels, (_text(value) for value in listed.iter("dd")), strict=False))
    actions = {
        str(button.get("value")) for button in document.iter("button", "input") if button.get("name") == "action"
    }
    return Shown(
        reply.status, next((_text(heading) for heading in document.iter("h1")), ""), frozenset(actions), values
    )


def _text(element: etree._Element) -> str:
    # A value that sits in <code> is exactly that text; what stands around it is the page's own.
    code = element.find(".//code")
    return "".join(map(str, (element if code is None else code).itertext())).strip()
