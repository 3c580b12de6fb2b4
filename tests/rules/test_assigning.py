"""A request for access: what it means, what is refused, and what is said before it bites."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.assigning import MOST_ASSIGNMENTS, NEARLY, AccessPlan, Draft, Facts, from_json, parse, plan, to_json
from sso.errors import Refused
from sso.model import AppRole, AppRoleAssignment, AppRoleId, ClientId, ObjectId, Principal, ServicePrincipal, key_of
from sso.observed import Observed
from vendors.catalog import Catalog

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
KEY = key_of("clicktime", "default")
PROFILE = Catalog().load("clicktime")
USER = AppRole(AppRoleId("user role"), None, "User", enabled=True, for_users=True)
ADMIN = AppRole(AppRoleId("admin role"), "admin", "Admin", enabled=True, for_users=True)
RESOURCE = ObjectId("service principal")
SERVICE_PRINCIPAL = ServicePrincipal(
    object_id=RESOURCE,
    client_id=ClientId("client"),
    enabled=True,
    tags=(),
    sign_on_mode="saml",
    sign_on_url=None,
    logout_url=None,
    relay_state=None,
    assignment_required=True,
    notification_addresses=(),
    active_thumbprint=None,
    certificates=(),
    app_roles=(USER, ADMIN),
)


def person(name: str) -> Principal:
    """Somebody whose ID is the name in small letters."""
    return Principal(ObjectId(name.lower()), "user", name, None)


def group(name: str) -> Principal:
    """A group that can be assigned."""
    return Principal(ObjectId(name.lower()), "group", name, None)


PEOPLE = {name: (person(name),) for name in ("Ann", "Bob", "Cleo")} | {"Sales": (group("Sales"),)}


def holds(name: str, role: AppRole = USER, kind: str = "user") -> AppRoleAssignment:
    """An assignment that is there."""
    return AppRoleAssignment(f"{name} {role.id}", ObjectId(name.lower()), role.id, RESOURCE, kind, name)


def facts(*held: AppRoleAssignment) -> Facts:
    """What the directory says where these assignments are there."""
    return Facts(Observed(KEY, service_principal=SERVICE_PRINCIPAL, assignments=held), PEOPLE)


def planned(draft: Draft, known: Facts) -> AccessPlan:
    """The plan."""
    return plan(KEY, PROFILE, draft, known)


def test_changes_are_what_is_missing() -> None:
    """Who has the role already is no change and is counted; removals come first."""
    made = planned(Draft(add=("Ann", "Bob"), remove=("Cleo",)), facts(holds("Ann"), holds("Cleo")))
    assert [(c.name, c.direction, c.role_id) for c in made.request.changes] == [
        ("Cleo", "revoke", None),
        ("Bob", "grant", USER.id),
    ]
    assert [step.step for step in made.steps] == ["revoke", "assign"]
    assert made.notes == ("1 of 2 have this role already.",)


def test_removal_takes_the_named_role_or_whatever_is_held() -> None:
    """With a role only that one is taken, without one all of them."""
    held = facts(holds("Ann"), holds("Ann", ADMIN))
    assert planned(Draft(remove=("Ann",)), held).request.changes[0].role_id is None
    assert planned(Draft(remove=("Ann",), role="admin"), held).request.changes[0].role_id == ADMIN.id


def test_access_through_a_group_is_named_for_its_direct_members() -> None:
    """Who belongs to an assigned group is told to keep access; who does not is not."""
    known = replace(
        facts(holds("Ann"), holds("Bob"), holds("Sales", kind="group")),
        members={ObjectId("sales"): frozenset({ObjectId("ann")})},
    )
    ann, bob = planned(Draft(remove=("Ann", "Bob")), known).request.changes
    assert ann.remark == "keeps access through the group 'Sales'; it ends with the membership or the account."
    assert bob.remark is None


def test_limit_of_one_principal_is_said_before_it_bites() -> None:
    """Near the limit a note says so; at it the principal is refused by its field."""
    near = replace(facts(), held={ObjectId("ann"): NEARLY})
    assert "1400 of 1500" in planned(Draft(add=("Ann",)), near).notes[0]
    full = replace(facts(), held={ObjectId("bob"): MOST_ASSIGNMENTS})
    with pytest.raises(Refused) as refused:
        planned(Draft(add=("Ann", "Bob")), full)
    assert [reason.field for reason in refused.value.reasons] == ["add[1]"]


def test_nested_groups_and_disabled_accounts_are_said() -> None:
    """A group inside a group, and an account that cannot sign in, stand in the notes."""
    hits = {**PEOPLE, "Dana": (replace(person("Dana"), enabled=False),)}
    known = replace(facts(), hits=hits, nested={ObjectId("sales"): ("Field",)})
    notes = planned(Draft(add=("Sales", "Dana")), known).notes
    assert notes[0] == "Inside 'Sales' is 'Field': only direct members get access, nested ones nothing."
    assert notes[1] == "The account of Dana is disabled, so it cannot sign in."


@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.dictionaries(
            st.sampled_from(["add", "remove", "role", "ticket", "requested_by", "other"]),
            st.one_of(st.none(), st.text(), st.integers(), st.lists(st.one_of(st.text(), st.integers()), max_size=5)),
        ),
    )
)
def test_any_body_ends_in_a_draft_or_in_reasons(body: object) -> None:
    """Whatever is sent is read or named; what is read names somebody."""
    draft, reasons = parse(body)
    assert reasons or draft.add or draft.remove


@given(st.lists(st.sampled_from(sorted(PEOPLE)), unique=True), st.sampled_from([None, "admin", "User"]))
def test_request_is_kept_as_it_is(names: list[str], role: str | None) -> None:
    """What an operation's row keeps is read back the same."""
    half = len(names) // 2
    draft = Draft(add=tuple(names[:half]), remove=tuple(names[half:]), role=role, ticket="IT-1")
    request = planned(draft, facts()).request
    assert from_json(to_json(request)) == request
