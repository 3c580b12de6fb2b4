"""What a plan says is what then happens: each step beside the writes it stands for, compared with the calls."""

from collections.abc import Mapping

import pytest

from tests.stories.conftest import Story
from tests.world import VENDORS

Write = tuple[str, str]

_APPLICATIONS, _SERVICE_PRINCIPALS = "applications.application", "servicePrincipals.servicePrincipal"
MAIL: Write = ("graph", "users.user.sendMail")
GRANT: Write = ("graph", "servicePrincipals.CreateAppRoleAssignedTo")
# The writes of each step, in order. Grants are made from their own queue, so they may come anywhere after their step.
WRITES: Mapping[str, list[Write]] = {
    "instantiate": [("graph", "applicationTemplates.applicationTemplate.instantiate")],
    "create_application": [("graph", f"{_APPLICATIONS}.UpdateByUniqueName")],
    "create_service_principal": [("graph", f"{_SERVICE_PRINCIPALS}.UpdateByAppId")],
    "configure_service_principal": [("graph", f"{_SERVICE_PRINCIPALS}_UpdateServicePrincipal")],
    "configure_application": [("graph", f"{_APPLICATIONS}_UpdateApplication")],
    "grant_consent": [("graph", "oauth2PermissionGrants_Create")],
    "add_certificate": [("graph", f"{_SERVICE_PRINCIPALS}.addTokenSigningCertificate")],
    "activate_certificate": [("graph", f"{_SERVICE_PRINCIPALS}_UpdateServicePrincipal")],
    "mint_secret": [("graph", f"{_APPLICATIONS}.addPassword"), ("vault", "PUT /secrets/{name}")],
    "promote_secret": [("vault", "PUT /secrets/{name}"), ("vault", "PATCH /secrets/{name}/{version}")],
    "assign": [GRANT, GRANT],  # B.Simon and Sales
    "mail_handoff": [MAIL],
    "mail_code": [MAIL],
}
FROM_THE_GALLERY = ["instantiate", "configure_service_principal", "configure_application"]
CERTIFICATE = ["add_certificate", "activate_certificate"]
CONSENT_AND_SECRET = ["grant_consent", "mint_secret", "promote_secret"]
PEOPLE_AND_HANDOFF = ["assign", "mail_handoff", "mail_code"]
PLANS = {
    "clicktime": [*FROM_THE_GALLERY, *CERTIFICATE, *PEOPLE_AND_HANDOFF],
    "hellotracks": ["create_application", "create_service_principal", *CONSENT_AND_SECRET, *PEOPLE_AND_HANDOFF],
    "ilogon_mha": [*FROM_THE_GALLERY, *CONSENT_AND_SECRET, *PEOPLE_AND_HANDOFF],
    "smarttrace": [*FROM_THE_GALLERY, *CONSENT_AND_SECRET, *PEOPLE_AND_HANDOFF],
    "thoropass": [*FROM_THE_GALLERY, *CERTIFICATE, *PEOPLE_AND_HANDOFF],
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_fresh_request_plans_these_steps(five: Mapping[str, Story], vendor: str) -> None:
    """The plan of a fresh request has the steps of its protocol and source, in their order."""
    assert [step["step"] for step in five[vendor].plan["steps"]] == PLANS[vendor]


def test_plan_lists_exactly_the_writes_that_then_happen(story: tuple[str, Story]) -> None:
    """Every planned write is made, in the plan's order, and no other is."""
    _, seen = story
    steps = [step["step"] for step in seen.plan["steps"]]
    made = [(write["service"], write["operation"]) for write in seen.writes]
    in_order = [write for step in steps if step != "assign" for write in WRITES[step]]
    assert [write for write in made if write != GRANT] == in_order
    assert [write for write in made if write == GRANT] == WRITES["assign"]
    before = sum(len(WRITES[step]) for step in steps[: steps.index("assign")])
    assert GRANT not in made[:before]


def test_plan_and_operation_say_the_same_sentences(story: tuple[str, Story]) -> None:
    """The steps taken read as the steps planned, word for word and in the same order, each with whom it affects."""
    _, seen = story
    planned = [(step["step"], step["sentence"], step["affects"]) for step in seen.plan["steps"]]
    assert [(step["step"], step["sentence"], step["affects"]) for step in seen.operation["steps"]] == planned
    assert all(step["state"] == "done" for step in seen.operation["steps"])
    assert all(sentence.endswith(".") and affects for _, sentence, affects in planned)


def test_plan_says_who_is_affected(story: tuple[str, Story]) -> None:
    """Only giving access changes anybody's sign-in while an application is new."""
    _, seen = story
    affected = {step["step"]: step["affects"] for step in seen.plan["steps"]}
    assert affected.pop("assign") == "2 principals can sign in"
    assert set(affected.values()) == {"nobody's sign-in"}
