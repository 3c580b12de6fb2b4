"""Who calls, as App Service authentication says it in a header."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso.caller import signed_in_caller
from sso.errors import Refused

LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
LONG_NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"


def header(*claims: tuple[str, str]) -> str:
    """`X-MS-CLIENT-PRINCIPAL` with these claims."""
    principal = {"auth_typ": "aad", "claims": [{"typ": name, "val": value} for name, value in claims]}
    return base64.b64encode(json.dumps(principal).encode()).decode()


def encoded(value: Any) -> str:
    """Any JSON as such a header."""
    return base64.b64encode(json.dumps(value).encode()).decode()


@dataclass(frozen=True)
class Case:
    """A header, and the caller's name or the status of the refusal."""

    principal: str | None
    result: str | int


ROLE, NAME = ("roles", "Gatehouse.Onboard"), ("preferred_username", "helpdesk@contoso.com")
CASES: Mapping[str, Case] = {
    "no header": Case(None, 401),
    "an empty header": Case("", 401),
    "no base64": Case("helpdesk@contoso.com", 401),
    "base64 of no JSON": Case(base64.b64encode(b"\xff\xfe").decode(), 401),
    "JSON without claims": Case(encoded({"auth_typ": "aad"}), 401),
    "a list instead of an object": Case(encoded([1, 2]), 401),
    "claims that are no list": Case(encoded({"claims": 7}), 401),
    "claims without type": Case(encoded({"claims": [{"val": "Gatehouse.Onboard"}]}), 401),
    "nobody in particular": Case(header(), 403),
    "a person without a role": Case(header(NAME), 403),
    "a person with another role": Case(header(NAME, ("roles", "Gatehouse.Read")), 403),
    "the role under another claim's name": Case(header(NAME, ("groups", "Gatehouse.Onboard")), 403),
    "a role that begins alike": Case(header(NAME, ("roles", "Gatehouse.Onboarder")), 403),
    "the role": Case(header(NAME, ROLE), "helpdesk@contoso.com"),
    "the role by its long claim type": Case(header(NAME, (LONG_ROLE, "Gatehouse.Onboard")), "helpdesk@contoso.com"),
    "one of several roles": Case(header(("roles", "Gatehouse.Read"), ROLE, NAME), "helpdesk@contoso.com"),
    "a person by UPN claim": Case(header(ROLE, (LONG_NAME, "b.simon@contoso.com")), "b.simon@contoso.com"),
    "an application": Case(header(ROLE, ("appid", "5c0a9cc4")), "5c0a9cc4"),
    "a person before the application used": Case(header(ROLE, ("appid", "5c0a9cc4"), NAME), "helpdesk@contoso.com"),
    "a role and no name": Case(header(ROLE), "unnamed caller"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_caller(case: Case) -> None:
    """Unreadable is 401, without the role 403, with it the caller's name."""
    if isinstance(case.result, str):
        assert signed_in_caller(case.principal, "Gatehouse.Onboard") == case.result
        return
    with pytest.raises(Refused) as refused:
        signed_in_caller(case.principal, "Gatehouse.Onboard")
    assert refused.value.status == case.result


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()) | st.recursive(
    st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
).map(encoded))  # fmt: skip
def test_any_header_is_a_caller_or_refused(principal: str) -> None:
    """Whatever stands in the header, nobody without the role is let in and nothing else is raised."""
    with pytest.raises(Refused):
        signed_in_caller(principal, "Gatehouse.Operate")
