"""Which role a person gets, and how people are cut into batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.assignment import BATCH_SIZE, batches, choose_role
from sso.errors import Refused
from sso.model import NO_ROLE, AppRole, AppRoleId, ObjectId, Principal


def role(name: str, value: str | None = None, *, enabled: bool = True, for_users: bool = True) -> AppRole:
    """A published role whose id is its name in small letters."""
    return AppRole(AppRoleId(name.lower()), value, name, enabled, for_users)


ADMIN, USER, MSIAM = role("Admin", "admin"), role("User"), role("msiam_access")


@dataclass(frozen=True)
class Case:
    """What an application publishes, what is wanted, and the id of the chosen role; None where it is refused."""

    roles: tuple[AppRole, ...]
    wanted: str | None
    chosen: str | None


CASES: Mapping[str, Case] = {
    "no roles, none wanted: default access": Case((), None, NO_ROLE),
    "no roles, 'User' wanted: default access, for that is what it means there": Case((), "User", NO_ROLE),
    "no roles, another wanted: refused": Case((), "Admin", None),
    "the wanted one by its value": Case((USER, ADMIN), "admin", "admin"),
    "the wanted one by its display name": Case((USER, ADMIN), "Admin", "admin"),
    "the wanted one is not there: refused, and not replaced by another": Case((USER, MSIAM), "Owner", None),
    "the wanted one is disabled: refused": Case((USER, role("Owner", enabled=False)), "Owner", None),
    "the wanted one is for applications: refused": Case(
        (USER, role("Reader.All", for_users=False)), "Reader.All", None
    ),
    "none wanted: 'User' before any other": Case((ADMIN, MSIAM, USER), None, "user"),
    "none wanted and no 'User': msiam_access": Case((ADMIN, MSIAM), None, "msiam_access"),
    "none wanted and neither: the first one for people": Case(
        (role("Daemon", for_users=False), role("Old", enabled=False), ADMIN), None, "admin"
    ),
    "none wanted and 'User' is disabled: msiam_access": Case(
        (role("User", enabled=False), MSIAM), None, "msiam_access"
    ),
    "none wanted and none for people: default access": Case((role("Daemon", for_users=False),), None, NO_ROLE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_role_is_chosen_in_one_order(case: Case) -> None:
    """The wanted value or name, `User`, `msiam_access`, then default access."""
    if case.chosen is None:
        with pytest.raises(Refused) as refused:
            choose_role(case.roles, case.wanted)
        assert refused.value.reasons[0].field == "assignments.role"
        assert repr(case.wanted) in str(refused.value)
    else:
        assert choose_role(case.roles, case.wanted) == case.chosen


@given(st.integers(0, 205), st.integers(1, 30))
def test_batches_hold_everybody_once_and_twenty_at_most(count: int, first: int) -> None:
    """Everybody stands in exactly one batch, in order; batches are full but the last, and numbered without a gap."""
    people = [Principal(ObjectId(f"person {n}"), "user", f"Person {n}", None) for n in range(count)]
    made = batches(people, ObjectId("service principal"), NO_ROLE, first)
    assert [grant.principal_id for each in made for grant in each.grants] == [p.object_id for p in people]
    assert all(len(each.grants) == BATCH_SIZE for each in made[:-1])
    assert all(0 < len(each.grants) <= BATCH_SIZE for each in made)
    assert [each.number for each in made] == list(range(first, first + len(made)))
    assert all(len(each.open) == len(each.grants) for each in made)


def test_outcome_is_recorded_for_one_principal_alone() -> None:
    """Recording a grant leaves the others open, and a refusal keeps its reason."""
    people = [Principal(ObjectId(name), "user", name, None) for name in ("a", "b", "c")]
    (batch,) = batches(people, ObjectId("service principal"), NO_ROLE)
    batch = batch.record(batch.grants[0], "assigned").record(batch.grants[2], "refused", "no such person")
    assert [(grant.name, grant.state, grant.reason) for grant in batch.grants] == [
        ("a", "assigned", None),
        ("b", "queued", None),
        ("c", "refused", "no such person"),
    ]
    assert [grant.name for grant in batch.open] == ["b"]
