"""What directory and deployment object to, case by case."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sso.check import DirectoryFacts, accept, check
from sso.model import ApplicationTemplate, ClientId, ObjectId, TemplateId, Unmanaged, key_of
from sso.observed import Observed
from sso.request import parse
from tests.rules.paper import CATALOG, OWNER, PARAMETERS, complete, nothing
from vendors.catalog import Catalog
from vendors.profile import OidcProfile

SALES = ApplicationTemplate(TemplateId("other"), "SmartTrace", ("oidc",))


@dataclass(frozen=True)
class Case:
    """A vendor, what is there, and the field that is blamed with a word of the sentence; None where nothing is."""

    vendor: str
    blamed: str | None = None
    word: str = ""
    cloud: str = "global"
    found: Mapping[str, Any] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()  # beyond the profile's own
    allowed: frozenset[str] = frozenset()


def stranger(vendor: str, *identifiers: str) -> Unmanaged:
    """An application without our mark."""
    return Unmanaged(ObjectId("stranger"), ClientId("its client"), CATALOG.load(vendor).name, identifiers)


CASES: Mapping[str, Case] = {
    "nothing is there: nothing is objected to": Case("clicktime"),
    "another instance of a vendor that exists once": Case(
        "clicktime", "instance", "clicktime/emea", found={"siblings": (key_of("clicktime", "emea"),)}
    ),
    "another instance of a vendor that may exist often": Case(
        "smarttrace", found={"siblings": (key_of("smarttrace", "emea"),)}
    ),
    "deleted twice within thirty days": Case("smarttrace", "tenant", "Restore", found={"deleted": ("one", "another")}),
    "no gallery entry of the name": Case("smarttrace", "vendor", "0 entries", found={"templates": ()}),
    "two gallery entries of the name": Case(
        "smarttrace", "vendor", "2 entries", found={"templates": (SALES, replace(SALES, id=TemplateId("another")))}
    ),
    "a gallery entry without the sign-on mode": Case(
        "smarttrace", "vendor", "0 entries", found={"templates": (replace(SALES, sign_on_modes=("saml",)),)}
    ),
    "two gallery entries of which one signs in that way": Case(
        "smarttrace", found={"templates": (SALES, replace(SALES, id=TemplateId("x"), sign_on_modes=("password",)))}
    ),
    "somebody else's application holds the identifier": Case(
        "clicktime",
        "tenant",
        "gatehouse:adopt:clicktime/default",
        found={"unmanaged": (stranger("clicktime", "https://app.clicktime.com/sp/"),)},
    ),
    "somebody else's application has only the name": Case(
        "clicktime", found={"unmanaged": (stranger("clicktime", "https://other.example"),)}
    ),
    "SAML in the government's cloud": Case("clicktime", "vendor", "global cloud only", "usgov"),
    "SAML in the defence cloud": Case("thoropass", "vendor", "global cloud only", "dod"),
    "OIDC from the gallery in the government's cloud": Case("smarttrace", cloud="dod"),
    "OIDC from the gallery in China": Case("smarttrace", "vendor", "template_id", "china"),
    "an ordinary registration in China": Case("hellotracks", cloud="china"),
    "a scope that everyone may consent to": Case("smarttrace", scopes=("offline_access", "User.Read")),
    "a scope that reads mail": Case("smarttrace", "vendor", "Mail.Read", scopes=("Mail.Read",)),
    "a scope that reads mail and is allowed": Case(
        "smarttrace", scopes=("Mail.Read",), allowed=frozenset({"Mail.Read"})
    ),
}


class _Widened(Catalog):
    """The catalogue, with more scopes in one profile."""

    def __init__(self, vendor: str, scopes: tuple[str, ...]) -> None:
        super().__init__()
        profile = self.load(vendor)
        if isinstance(profile, OidcProfile) and scopes:
            wider = profile.oidc.model_copy(update={"scopes": (*profile.oidc.scopes, *scopes)})
            slug = next(name for name in self.slugs() if name == vendor)
            self._loaded[slug] = profile.model_copy(update={"oidc": wider})


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_objections(case: Case) -> None:
    """Each objection blames one field and says what to do; where nothing is wrong nothing is said."""
    body = {"vendor": case.vendor, "owner": "owner", "parameters": PARAMETERS.get(case.vendor, {})}
    draft, malformed = parse(body, _Widened(case.vendor, case.scopes))
    assert malformed == ()
    assert draft.profile is not None
    assert draft.key is not None
    observed = replace(nothing(draft.profile, draft.key), **case.found)
    reasons = check(draft, DirectoryFacts(observed, (OWNER,)), case.allowed, case.cloud)
    assert [reason.field for reason in reasons] == ([case.blamed] if case.blamed else [])
    assert all(case.word in reason.detail for reason in reasons)


OWNERS: Mapping[str, tuple[Mapping[str, Any], bool]] = {
    "an enabled member": ({}, True),
    "a guest": ({"guest": True}, False),
    "somebody disabled": ({"enabled": False}, False),
    "somebody without mail": ({"address": None}, False),
    "a mail-enabled security group": ({"kind": "group"}, True),
    "a distribution list": ({"kind": "group", "security_group": False}, False),
    "a security group without mail": ({"kind": "group", "address": None}, False),
}


@pytest.mark.parametrize(("changes", "taken"), OWNERS.values(), ids=list(OWNERS))
def test_owner_can_answer(changes: Mapping[str, Any], taken: bool) -> None:
    """An owner is an enabled member with mail, or a mail-enabled security group."""
    draft, _ = parse({"vendor": "thoropass", "owner": "owner"}, CATALOG)
    assert draft.profile is not None
    assert draft.key is not None
    facts = DirectoryFacts(nothing(draft.profile, draft.key), (replace(OWNER, **changes),))
    assert [reason.field for reason in check(draft, facts, frozenset(), "global")] == ([] if taken else ["owner"])
    limited = replace(facts, owner_allowed=False)
    assert [reason.field for reason in check(draft, limited, frozenset(), "global")] == ["owner"]


def test_request_for_an_application_that_is_there_may_leave_its_owner_out() -> None:
    """Where an owner stands on the application, a request that names none keeps it."""
    whole = complete("thoropass")
    draft, _ = parse({"vendor": "thoropass"}, CATALOG)
    facts = DirectoryFacts(whole.observed)
    assert check(draft, facts, frozenset(), "global") == ()
    assert accept(draft, facts).owner == OWNER.object_id
    assert [r.field for r in check(draft, DirectoryFacts(Observed(whole.wanted.key)), frozenset(), "global")].count(
        "owner"
    )


def test_draft_with_reasons_is_never_accepted() -> None:
    """What was refused cannot become an operation by mistake."""
    draft, reasons = parse({"vendor": "unheard of"}, CATALOG)
    assert reasons
    with pytest.raises(ValueError, match="cannot be accepted"):
        accept(draft, DirectoryFacts(None))
