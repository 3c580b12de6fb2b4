"""A hand-off's mails and page as their reader uses them: the newest link and code of one application."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.relying_parties.handoff_page import HandoffPage
from sandbox.wire import Wire
from tests.world import World

Mail = Mapping[str, Any]
LINK, CODE = re.compile(r"^Page: (\S+)\s*$", re.MULTILINE), re.compile(r"^Code: (\S+)\s*$", re.MULTILINE)


def handoffs(mails: Iterable[Mail]) -> list[Mail]:
    """The mails that carry a page's link, oldest first."""
    return [mail for mail in mails if LINK.search(mail["text"])]


def codes(mails: Iterable[Mail]) -> list[Mail]:
    """The mails that carry a page's code, oldest first."""
    return [mail for mail in mails if CODE.search(mail["text"])]


def others(mails: Iterable[Mail]) -> list[Mail]:
    """The mails that carry neither."""
    return [mail for mail in mails if not LINK.search(mail["text"]) and not CODE.search(mail["text"])]


def link_of(mail: Mail) -> str:
    """The address of the page in a mail."""
    found = LINK.search(mail["text"])
    assert found, mail["text"]
    return found[1]


def code_of(mail: Mail) -> str:
    """The code in a mail."""
    found = CODE.search(mail["text"])
    assert found, mail["text"]
    return found[1]


def page(world: World, mail: Mail) -> HandoffPage:
    """The page whose link is in a mail."""
    return HandoffPage(Wire(world.tls), link_of(mail))


async def newest_page(world: World) -> tuple[HandoffPage, str]:
    """The page of the newest hand-off and its code."""
    mails = await world.mailbox()
    return page(world, handoffs(mails)[-1]), code_of(codes(mails)[-1])
