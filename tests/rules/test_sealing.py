"""A plan for a vendor whose S/MIME certificate has ended: stopped where something must be sent, and nowhere else."""

from dataclasses import replace
from datetime import timedelta

from sso.check import check_sealing
from sso.model import key_of
from sso.onboarding import plan
from sso.request import Onboarding
from sso.rotation import Rotation
from tests.rules.paper import DEPLOYMENT, NOW, OPERATION, OWNER, Paper, nothing
from tests.vendors.pinned import STARTS, vendor
from tests.vendors.samples import OIDC, changed, toml
from vendors.parsing import parse_profile
from vendors.slug import VendorSlug

KEY = key_of("paperweight", "default")
WANTED = Onboarding(key=KEY, parameters={"Tenant": "contoso", "Region": "eu"}, owner=OWNER.object_id)
DAYS = 300  # from STARTS, so that the certificate ends some weeks after NOW
ENDS = STARTS + timedelta(days=DAYS)
TABLES = changed(OIDC, ("handoff", "smime"), {"certificate": vendor(OIDC["handoff"]["contact"], days=DAYS).certificate})
PROFILE = parse_profile(VendorSlug("paperweight"), toml(TABLES))


def onboarded() -> Paper:
    """Paperweight, handed off while its certificate held."""
    paper = Paper(PROFILE, WANTED)
    sentences = [step.sentence for step in paper.take_all()]
    assert [line for line in sentences if line.endswith("its page, the secret encrypted to its certificate.")]
    return paper


def test_nothing_is_written_where_the_secret_could_not_be_sent() -> None:
    """For a new application the plan is empty and says why; the request is refused with the same words."""
    observed = nothing(PROFILE, KEY)
    found = plan(PROFILE, WANTED, observed, DEPLOYMENT, ENDS)
    assert found.steps == ()
    assert found.block is not None
    assert (found.block.what, found.block.whom) == ("failed", "the profile's maintainer")
    assert [reason.detail for reason in check_sealing(PROFILE, observed, ENDS)] == [found.block.detail]
    assert check_sealing(PROFILE, observed, ENDS - timedelta(days=1)) == ()


def test_what_was_sent_already_is_left_alone() -> None:
    """An application whose secret was handed over has an empty plan without a block, expired certificate or not."""
    paper = onboarded()
    found = plan(PROFILE, WANTED, paper.observed, DEPLOYMENT, NOW + timedelta(days=1))
    assert (found.steps, found.block) == ((), None)
    assert paper.observed.page is not None
    paper.observed = replace(paper.observed, page=replace(paper.observed.page, state="acknowledged"))
    found = plan(PROFILE, WANTED, paper.observed, DEPLOYMENT, ENDS)
    assert (found.steps, found.block) == ((), None)
    assert check_sealing(PROFILE, paper.observed, ENDS) == ()


def test_a_rotation_and_a_reminder_stop_and_say_why() -> None:
    """After its end no successor is minted, and no reminder goes out that would have to bring the secret again."""
    paper = onboarded()
    assert paper.observed.application is not None
    [password] = paper.observed.application.passwords
    rotation = replace(WANTED, rotation=Rotation(password.key_id))
    for request, handed_off in ((rotation, False), (WANTED, True)):
        found = plan(PROFILE, request, paper.observed, DEPLOYMENT, ENDS, operation=OPERATION, handed_off=handed_off)
        assert found.steps == ()
        assert found.block is not None
        assert f"ended on {ENDS:%Y-%m-%d}" in found.block.detail
