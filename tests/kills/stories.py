"""The stories that are cut: each begins with one request, and people do their part once the app rests."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from tests.kills.ground import Ground
from tests.stories.administrator import graph
from tests.stories.mails import newest_page
from tests.world import Reply, request

PRINCIPALS = 45  # three batches of the assignment queue
CHANGED = 12  # given and taken: a batch that does both, and one more


@dataclass(frozen=True)
class Begun:
    """What became of the request: taken, refused with reasons, or without an answer."""

    taken: bool
    reasons: tuple[str, ...] = ()


class Story(ABC):
    """One story; `vendor` is whose application it is about."""

    name: str
    vendor: str
    ends_with_people = False
    """Whether the story itself is people's doing, so that the app at rest says nothing yet."""
    begins_late = False
    """Whether the way to where it begins is long: the app has come to rest there before."""
    loses = False
    """Whether people can lose what they were given and ask for it again, which is another undisturbed end."""
    repeatable = True
    """Whether a caller that got no answer may send its request again when everything is done."""
    mails_are_noted_in = "page"
    """The partition of the ledger whose rows say that a mail was sent."""

    async def prepare(self, ground: Ground) -> None:  # noqa: B027  # most begin at the seed
        """Bring the tenant to where the story begins, undisturbed."""

    @abstractmethod
    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""

    async def lose(self, ground: Ground) -> None:  # noqa: B027  # most have nothing to lose
        """Lose what was given, and ask for it again."""

    async def people(self, ground: Ground) -> None:
        """What people do once the app rests: the vendor is set up from its hand-off."""
        collected = await ground.collect(self.vendor)
        assert collected["acknowledged"], collected["reason"]

    async def at_every_moment(self, ground: Ground) -> None:  # noqa: B027  # most begin with nothing to keep
        """What must hold whenever a host is dead."""

    async def proof(self, ground: Ground) -> None:
        """An assigned person signs in, with whatever the hand-off told the vendor, and nobody else does."""
        inside = await ground.sign_in(self.vendor)
        assert inside["signed_in"], inside["reason"]
        outside = await ground.sign_in(self.vendor, "helpdesk")
        assert not outside["signed_in"]
        assert "AADSTS50105" in outside["reason"]


class Onboarding(Story):
    """A vendor is onboarded from nothing."""

    def __init__(self, name: str, vendor: str) -> None:
        self.name, self.vendor = name, vendor

    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""
        return await taken(lambda: ground.api("POST", "/onboardings", request(self.vendor)))


class FirstOnboarding(Onboarding):
    """The first request of a deployment: neither table nor queues are there yet."""

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins."""
        await ground.forget_storage()


class Adoption(Onboarding):
    """An application that was made by hand, with a redirect URI and a secret of its own, is adopted."""

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins."""
        made = await graph(
            ground,
            "POST",
            "/applications",
            {
                "displayName": "Hellotracks",
                "signInAudience": "AzureADMyOrg",
                "tags": [f"gatehouse:adopt:{self.vendor}/default", "made by hand"],
                "web": {"redirectUris": ["https://hand.made.example/callback"]},
            },
        )
        await graph(ground, "POST", "/servicePrincipals", {"appId": made["appId"], "appRoleAssignmentRequired": True})
        body = {"passwordCredential": {"displayName": "by hand"}}
        await graph(ground, "POST", f"/applications/{made['id']}/addPassword", body)


class Assignment(Onboarding):
    """Forty-five more people get access to an application that is there."""

    begins_late = True

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins."""
        await ground.api("POST", "/onboardings", request(self.vendor))
        await ground.come_to_rest(sweep=False)
        await Onboarding.people(self, ground)

    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""
        body = request(self.vendor, assignments={"users": (await _everybody(ground))[:PRINCIPALS]})
        return await taken(lambda: ground.api("POST", "/onboardings", body))

    async def people(self, ground: Ground) -> None:
        """Nobody has to do anything: the vendor was set up before."""


class Access(Assignment):
    """Twelve people get access by name and twelve lose it, in two batches of one operation."""

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins: with the access that is going to be lost."""
        await super().prepare(ground)
        await self._change(ground, {"add": (await _everybody(ground))[:CHANGED]})
        await ground.come_to_rest(sweep=False)

    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""
        people = await _everybody(ground)
        body = {"remove": people[:CHANGED], "add": people[CHANGED : 2 * CHANGED], "ticket": "IT-12"}
        return await taken(lambda: self._change(ground, body))

    async def proof(self, ground: Ground) -> None:
        """Who got access signs in, and who lost it does not."""
        await super().proof(ground)
        people = [name.partition("@")[0] for name in await _everybody(ground)]
        given = await ground.sign_in(self.vendor, people[2 * CHANGED - 1])
        taken = await ground.sign_in(self.vendor, people[0])
        assert given["signed_in"], given["reason"]
        assert not taken["signed_in"]

    async def _change(self, ground: Ground, body: object) -> Reply:
        return await ground.api("POST", f"/applications/{self.vendor}/default/assignments", body)


class Offboarding(Onboarding):
    """An application is taken out of use; its deletion is two weeks away."""

    begins_late = True

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins."""
        await ground.api("POST", "/onboardings", request(self.vendor))
        await ground.come_to_rest(sweep=False)
        await Onboarding.people(self, ground)

    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""
        return await taken(lambda: ground.api("DELETE", f"/applications/{self.vendor}/default"))

    async def people(self, ground: Ground) -> None:
        """Nobody has to do anything."""

    async def proof(self, ground: Ground) -> None:
        """Nobody signs in."""
        outside = await ground.sign_in(self.vendor)
        assert not outside["signed_in"]
        assert "AADSTS7000112" in outside["reason"]


class Collection(Story):
    """The vendor's side collects its secret on the page, sets itself up and acknowledges."""

    begins_late = True
    ends_with_people = True
    loses = True

    def __init__(self, name: str, vendor: str) -> None:
        self.name, self.vendor = name, vendor

    async def prepare(self, ground: Ground) -> None:
        """Bring the tenant to where the story begins."""
        await ground.api("POST", "/onboardings", request(self.vendor))
        await ground.come_to_rest(sweep=False)

    async def begin(self, ground: Ground) -> Begun:
        """Send the request."""
        collected = await ground.collect(self.vendor)
        return Begun(bool(collected["acknowledged"]), (str(collected["reason"]),))

    async def people(self, ground: Ground) -> None:
        """Try again, and where the secret was shown to nobody ask for a new hand-off."""
        if (await ground.collect(self.vendor))["acknowledged"]:
            return
        reply = await ground.api("POST", f"/applications/{self.vendor}/default/handoffs")
        assert reply.status == 202, reply.text
        await ground.come_to_rest(sweep=True)
        collected = await ground.collect(self.vendor)
        assert collected["acknowledged"], collected["reason"]

    async def lose(self, ground: Ground) -> None:
        """Collect the secret, and lose it on the way to the vendor's form."""
        page, code = await newest_page(ground)
        shown = await page.press("collect", code)
        assert shown.status == 200
        await self.people(ground)


async def _everybody(ground: Ground) -> list[str]:
    """Names of people who can sign in and stand in no story yet, in one order."""
    users = [user for user in (await ground.dump())["users"] if user["accountEnabled"] and user["userType"] == "Member"]
    names = (str(user["userPrincipalName"]) for user in users)
    return sorted(name for name in names if name.partition("@")[0] not in _SEEDED)


_SEEDED = {"b.simon", "app-owner", "helpdesk", "gatehouse"}

STORIES: tuple[Story, ...] = (
    Onboarding("gallery, OpenID Connect", "smarttrace"),
    FirstOnboarding("registration, OpenID Connect", "hellotracks"),
    Onboarding("gallery, SAML", "clicktime"),
    Adoption("adoption", "hellotracks"),
    Assignment("assignment of 45", "hellotracks"),
    Access("access given and taken", "hellotracks"),
    Offboarding("offboarding", "smarttrace"),
    Collection("collection of a hand-off", "smarttrace"),
)


async def taken(call: Callable[[], Awaitable[Reply]]) -> Begun:
    """What came back; a caller whose connection breaks has no answer."""
    try:
        reply = await call()
    except aiohttp.ClientError:
        return Begun(taken=False)
    reasons = tuple(reason["detail"] for reason in (reply.body or {}).get("reasons", ()))
    return Begun(reply.status == 202, reasons)
