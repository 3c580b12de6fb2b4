"""Broken profiles: every problem is reported, with its key path, what was found and what to do."""

import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.vendors.samples import OIDC, SAML, changed, toml, without
from vendors.parsing import ProfileError, parse_profile
from vendors.profile import OidcProfile, SamlProfile
from vendors.slug import VendorSlug

SLUG = VendorSlug("paperweight")


def problems_of(tables: dict[str, Any]) -> dict[str, str]:
    """Return the problems of a broken profile, key path to whole line."""
    with pytest.raises(ProfileError) as caught:
        parse_profile(SLUG, toml(tables))
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    lines: dict[str, str] = {}
    for problem in caught.value.problems:
        lines[problem.path] = f"{lines.get(problem.path, '')} {problem}"
    return lines


def test_the_samples_are_profiles() -> None:
    """The tables that the other tests break are whole, and become frozen models with their defaults."""
    oidc, saml = parse_profile(SLUG, toml(OIDC)), parse_profile(SLUG, toml(SAML))
    assert isinstance(oidc, OidcProfile)
    assert isinstance(saml, SamlProfile)
    assert (oidc.parameters["Region"].source, oidc.parameters["Tenant"].source) == ("vendor", "request")
    assert (saml.handoff.valid_days, saml.handoff.plain, saml.people.assignment_required) == (7, False, True)
    with pytest.raises(ValidationError, match="frozen"):
        saml.name = "Other"


@pytest.mark.parametrize("sample", [OIDC, SAML], ids=["OIDC", "SAML"])
def test_a_profile_survives_being_written_and_read(sample: dict[str, Any]) -> None:
    """A profile's own tables, defaults and empty fields included, are the same profile again."""
    profile = parse_profile(SLUG, toml(sample))
    assert type(profile).model_validate(profile.model_dump(by_alias=True)) == profile
    assert type(profile).model_validate(dict(profile)) == profile


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a missing name": (without(OIDC, ("name",)), "name", "required"),
    "a missing table": (without(OIDC, ("people",)), "people", "required"),
    "an unknown protocol": (changed(OIDC, ("protocol",), "ldap"), "protocol", '"saml" or "oidc"'),
    "no protocol": (without(OIDC, ("protocol",)), "protocol", '"saml" or "oidc"'),
    "a table of the other protocol": (changed(OIDC, ("saml",), SAML["saml"]), "saml", "no table"),
    "a misspelt key": (changed(OIDC, ("handoff", "valid_day"), 5), "handoff.valid_day", "valid_days"),
    "a key of the later rotation": (changed(OIDC, ("oidc", "secret", "slots"), 1), "oidc.secret.slots", "no key"),
    "a word for a switch": (
        changed(OIDC, ("people", "authoritative"), "yes"),
        "people.authoritative",
        "true or false",
    ),
    "a source of two kinds": (
        changed(OIDC, ("source",), {"gallery": "A", "registration": True}),
        "source.gallery",
        "no key",
    ),
    "a source of no kind": (changed(OIDC, ("source",), {}), "source", "registration = true"),
    "registration switched off": (changed(OIDC, ("source",), {"registration": False}), "source.registration", "True"),
    "a template ID that is none": (changed(SAML, ("source", "template_id"), "8ADF"), "source.template_id", "/health"),
    "SAML on an ordinary registration": (
        changed(SAML, ("source",), {"registration": True}),
        "source.registration",
        "8adf8e6e",
    ),
    "template values of an ordinary registration": (
        changed(changed(OIDC, ("source",), {"registration": True}), ("oidc", "redirect_uris"), "template"),
        "oidc.redirect_uris",
        "list them",
    ),
    "another word than template": (
        changed(OIDC, ("oidc", "redirect_uris"), "gallery"),
        "oidc.redirect_uris",
        "template",
    ),
    "no redirect URI": (changed(OIDC, ("oidc", "redirect_uris"), []), "oidc.redirect_uris", "empty"),
    "257 redirect URIs": (
        changed(OIDC, ("oidc", "redirect_uris"), [f"https://a.example/{n}" for n in range(257)]),
        "oidc.redirect_uris",
        "256",
    ),
    "a redirect URI twice": (
        changed(OIDC, ("oidc", "redirect_uris", 1), OIDC["oidc"]["redirect_uris"][0]),
        "oidc.redirect_uris[1]",
        "twice",
    ),
    "a redirect URI without TLS": (
        changed(OIDC, ("oidc", "redirect_uris", 1), "http://paperweight.example/{Region}"),
        "oidc.redirect_uris[1]",
        "https://",
    ),
    "a sign-on URL without TLS": (
        changed(SAML, ("saml", "sign_on_url"), "http://a.example/"),
        "saml.sign_on_url",
        "https",
    ),
    "a logout URL that is a script": (
        changed(SAML, ("saml", "logout_url"), "javascript:a"),
        "saml.logout_url",
        "https",
    ),
    "a relay state of another owner": (
        changed(SAML, ("saml", "relay_state"), "https://{Tenant}/home"),
        "saml.relay_state",
        "registrable",
    ),
    "a guide with a placeholder": (changed(OIDC, ("guide",), "https://a.example/{Tenant}"), "guide", "literal"),
    "a placeholder that nobody declared": (
        changed(OIDC, ("oidc", "sign_on_url"), "https://paperweight.example/{Team}"),
        "oidc.sign_on_url",
        "[parameters.Team]",
    ),
    "a parameter that nothing uses": (
        changed(OIDC, ("parameters", "Spare"), {"title": "Spare", "pattern": "a"}),
        "parameters.Spare",
        "used nowhere",
    ),
    "a parameter whose name is no name": (
        changed(OIDC, ("parameters", "a-b"), {"title": "A", "pattern": "a"}),
        "parameters.a-b",
        "letter",
    ),
    "a pattern that does not compile": (
        changed(OIDC, ("parameters", "Tenant", "pattern"), "[a-z"),
        "parameters.Tenant.pattern",
        "no pattern",
    ),
    "a pattern that explodes": (
        changed(OIDC, ("parameters", "Tenant", "pattern"), "(a+)+"),
        "parameters.Tenant.pattern",
        "too many ways",
    ),
    "a parameter from nobody": (
        changed(OIDC, ("parameters", "Tenant", "from"), "ticket"),
        "parameters.Tenant.from",
        "'request' or 'vendor'",
    ),
    "a parameter's source under the code's name": (
        changed(OIDC, ("parameters", "Tenant", "source"), "vendor"),
        "parameters.Tenant.source",
        "no key",
    ),
    "scopes without openid": (changed(OIDC, ("oidc", "scopes"), ["email"]), "oidc.scopes", "openid"),
    "two scopes in one text": (changed(OIDC, ("oidc", "scopes", 1), "email profile"), "oidc.scopes[1]", "one scope"),
    "a secret that lives too long": (
        changed(OIDC, ("oidc", "secret", "lifetime_days"), 731),
        "oidc.secret.lifetime_days",
        "730",
    ),
    "a secret's life in quotes": (
        changed(OIDC, ("oidc", "secret", "lifetime_days"), "90"),
        "oidc.secret.lifetime_days",
        "without quotes",
    ),
    "a certificate beyond three years": (
        changed(SAML, ("saml", "certificate", "lifetime_days"), 1096),
        "saml.certificate.lifetime_days",
        "1095",
    ),
    "a fixed identifier in many instances": (changed(SAML, ("instances",), "many"), "instances", "once per tenant"),
    "a fixed identifier and the default": (without(SAML, ("instances",)), "instances", "once per tenant"),
    "an identifier that is no URI": (
        changed(SAML, ("saml", "identifiers", 0), "inkwell"),
        "saml.identifiers[0]",
        "absolute",
    ),
    "a reply URL with a wildcard": (
        changed(SAML, ("saml", "reply_urls", 0), "https://inkwell.example/*"),
        "saml.reply_urls[0]",
        "wildcard",
    ),
    "a vendor's start without its page": (
        without(changed(SAML, ("saml", "initiated_by"), "sp"), ("saml", "sign_on_url")),
        "saml.initiated_by",
        "sign_on_url",
    ),
    "a vendor's page where only we begin": (changed(SAML, ("saml", "initiated_by"), "idp"), "saml.sign_on_url", "both"),
    "a vendor without an address": (without(OIDC, ("handoff", "contact")), "handoff.contact", "required"),
    "an owner with the vendor's address": (
        changed(SAML, ("handoff", "contact"), "support@inkwell.example"),
        "handoff.contact",
        "no use",
    ),
    "an owner with a code address": (
        changed(SAML, ("handoff", "code_to"), "ada@inkwell.example"),
        "handoff.code_to",
        "no use",
    ),
    "a code to the contact": (
        changed(OIDC, ("handoff", "code_to"), "Support+code@Paperweight.example"),
        "handoff.code_to",
        "apart",
    ),
    "an unknown value": (changed(OIDC, ("handoff", "deliver", 0), "password"), "handoff.deliver[0]", "choose"),
    "a value of the other protocol": (
        changed(OIDC, ("handoff", "deliver", 0), "certificate_pem"),
        "handoff.deliver[0]",
        "no value of protocol oidc",
    ),
    "a secret for a SAML vendor": (
        changed(SAML, ("handoff", "deliver", 0), "client_secret"),
        "handoff.deliver[0]",
        "saml",
    ),
    "a value twice": (changed(SAML, ("handoff", "deliver", 1), "login_url"), "handoff.deliver[1]", "twice"),
    "nothing delivered": (changed(OIDC, ("handoff", "deliver"), []), "handoff.deliver", "empty"),
    "no secret for an OIDC vendor": (
        changed(OIDC, ("handoff", "deliver"), ["client_id"]),
        "handoff.deliver",
        "client_secret",
    ),
    "no certificate for a SAML vendor": (
        changed(SAML, ("handoff", "deliver"), ["login_url"]),
        "handoff.deliver",
        "metadata_url",
    ),
    "an access URL that leads nowhere": (
        without(changed(OIDC, ("handoff", "deliver", 0), "user_access_url"), ("oidc", "sign_on_url")),
        "handoff.deliver[0]",
        "sign_on_url",
    ),
    "a value without its field": (
        without(OIDC, ("handoff", "fields", "client_id")),
        "handoff.fields.client_id",
        "is missing",
    ),
    "a field without its value": (
        changed(SAML, ("handoff", "fields", "tenant_id"), "Directory"),
        "handoff.fields.tenant_id",
        "not delivered",
    ),
    "a field for no value at all": (changed(SAML, ("handoff", "fields", "pass"), "P"), "handoff.fields.pass", "choose"),
    "two fields of one name": (
        changed(OIDC, ("handoff", "fields", "client_id"), "DIRECTORY"),
        "handoff.fields.client_id",
        "told apart",
    ),
    "a field named as a line of the mail": (
        changed(OIDC, ("handoff", "fields", "client_id"), "Reference"),
        "handoff.fields.client_id",
        "another line",
    ),
    "a field that passes for our tenant ID": (
        changed(OIDC, ("handoff", "fields", "client_id"), "Tenant ID"),
        "handoff.fields.client_id",
        "another line",
    ),
    "a field with a colon": (
        changed(OIDC, ("handoff", "fields", "client_id"), "Client:"),
        "handoff.fields.client_id",
        "colon",
    ),
    "a step of two lines": (changed(SAML, ("handoff", "steps", 0), "One.\nTwo."), "handoff.steps[0]", "one line"),
    "no step": (changed(SAML, ("handoff", "steps"), []), "handoff.steps", "empty"),
    "a page open for no day": (changed(SAML, ("handoff", "valid_days"), 0), "handoff.valid_days", "at least 1"),
    "a page open for 31 days": (changed(SAML, ("handoff", "valid_days"), 31), "handoff.valid_days", "at most 30"),
    "an open mail without a secret": (changed(SAML, ("handoff", "plain"), True), "handoff.plain", "client_secret"),
    "an open mail by a word": (changed(OIDC, ("handoff", "plain"), "yes"), "handoff.plain", "true or false"),
    "accounts made by magic": (changed(SAML, ("people", "provisioning"), "magic"), "people.provisioning", "choose"),
    "a list where a table is due": (changed(OIDC, ("people",), ["scim"]), "people", "must be a table"),
    "a text where a list is due": (changed(OIDC, ("handoff", "steps"), "Open it."), "handoff.steps", "must be a list"),
    "a number where a text is due": (changed(OIDC, ("name",), 7), "name", "quotes"),
    "a name with spaces around": (changed(OIDC, ("name",), " Paperweight"), "name", "spaces around"),
    "a name too long for Entra": (changed(OIDC, ("name",), "a" * 121), "name", "at most 120"),
}


@pytest.mark.parametrize(("tables", "path", "reason"), CASES.values(), ids=CASES.keys())
def test_each_rule_is_reported_at_its_key_path(tables: dict[str, Any], path: str, reason: str) -> None:
    """One broken rule is one sentence, at the key a person has to change."""
    problems = problems_of(tables)
    assert path in problems
    assert reason in problems[path]


ADDRESSES = {
    "a display name": "Ada <ada@vendor.example>",
    "two addresses": "ada@vendor.example,bob@vendor.example",
    "a second header": "ada@vendor.example\nBcc: eve@evil.example",
    "a line break at the end": "ada@vendor.example\n",
    "a space": "ada @vendor.example",
    "two at signs": "ada@vendor@vendor.example",
    "no host": "ada@",
    "no person": "@vendor.example",
    "no domain": "ada@localhost",
    "an address literal": "ada@[192.0.2.1]",
    "a dot at the end": "ada.@vendor.example",
    "quotes": '"ada"@vendor.example',
    "a Cyrillic letter": "\u0430da@vendor.example",
    "a route": "ada%evil.example@vendor.example",
    "255 characters": f"ada@{'a.' * 125}e",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_only_one_plain_mail_address_is_taken(address: str) -> None:
    """Nothing but a single plain address receives a hand-off or a code."""
    for key in ("contact", "code_to"):
        assert "plain mail address" in problems_of(changed(OIDC, ("handoff", key), address))[f"handoff.{key}"]


def test_all_problems_are_reported_together() -> None:
    """Faults of single fields and contradictions between fields stand in one message, beside one another."""
    tables = changed(without(OIDC, ("people",)), ("oidc", "redirect_uris", 0), "http://paperweight.example/{Nobody}")
    tables = changed(changed(tables, ("handoff", "code_to"), "support@paperweight.example"), ("colour",), "red")
    assert problems_of(tables).keys() >= {
        "people",
        "oidc.redirect_uris[0]",
        "handoff.code_to",
        "colour",
    }


def test_a_profile_without_a_protocol_is_checked_by_its_table() -> None:
    """A missing protocol hides no other fault."""
    tables = without(changed(SAML, ("saml", "reply_urls", 0), "http://inkwell.example/{Tenant}/acs"), ("protocol",))
    assert problems_of(tables).keys() == {"protocol", "saml.reply_urls[0]"}


SYNTAX = {
    "an unclosed text": (b'name = "a\n', "line 1"),
    "a key twice": (b'name = "a"\nname = "b"\n', "line 2"),
    "no value": (b'name = "a"\n\nprotocol =\n', "line 3"),
    "no UTF-8": (b'name = "a"\nguide = "\xff"\n', "line 2"),
    "a control character": (b'name = "a\x00"\n', "line 1"),
    "endless brackets": (b"a = " + b"[" * 5_000, "nested"),
    "a file of 65 KiB": (b"#" * 66_560, "65536"),
}


@pytest.mark.parametrize(("source", "place"), SYNTAX.values(), ids=SYNTAX.keys())
def test_what_is_no_toml_is_reported_with_its_line(source: bytes, place: str) -> None:
    """A syntax error names the line to look at."""
    with pytest.raises(ProfileError, match=place):
        parse_profile(SLUG, source)


def test_an_empty_file_lists_what_is_required() -> None:
    """Nothing at all is answered with every required key."""
    assert problems_of({}).keys() >= {"name", "protocol", "guide", "source", "handoff", "people"}


# A value that fits no field: the wrong type, hidden characters, or far too long.
SCALARS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(max_value=-1, min_value=-(2**60)),
    st.integers(min_value=10_000, max_value=2**60),
    st.builds(
        "{}{}{}".format,
        st.text(string.ascii_letters, max_size=9),
        st.sampled_from("\0\t\n\r\x7f\x85\u200b\u200e\u202e\u2028\u2066\ufeff"),
        st.text(string.ascii_letters, max_size=9),
    ),
    st.text(string.ascii_letters, min_size=400, max_size=450),
    st.just(""),
    st.lists(st.booleans(), min_size=1, max_size=2),
    st.just({"x": 1}),
)


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every value, table and list of a sample."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for key, below in inner for found in paths_of(below, (*path, key)))]


def written(path: tuple[str | int, ...]) -> str:
    """Return a key path as a person writes it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


PLACES = [(sample, path) for sample in (OIDC, SAML) for path in paths_of(sample)]
VARIANTS = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@VARIANTS
@given(st.sampled_from(PLACES), SCALARS)
def test_a_value_that_fits_nowhere_is_reported_where_it_stands(
    place: tuple[dict[str, Any], tuple[str | int, ...]], value: object
) -> None:
    """Three hundred drawn variants: any key, any unfit value, one ProfileError that names the key path."""
    sample, path = place
    tables = changed(sample, path, value)
    assert any(found.startswith(written(path)) for found in problems_of(tables))


@VARIANTS
@given(
    st.sampled_from([(sample, path) for sample, path in PLACES if not isinstance(path[-1], int)]),
    st.text(string.ascii_lowercase, min_size=12, max_size=14),
)
def test_an_unknown_key_is_reported_in_every_table(
    place: tuple[dict[str, Any], tuple[str | int, ...]], key: str
) -> None:
    """Beside whatever key it stands, a key that is not of the schema is named and not ignored."""
    sample, path = place
    beside = (*path[:-1], key)
    assert written(beside) in problems_of(changed(sample, beside, "x"))


@VARIANTS
@given(
    st.sampled_from([(sample, path) for sample, path in PLACES if not isinstance(path[-1], int)]),
    st.text(min_size=1) | st.sampled_from(["<list>", "<gallery>", "[key]", "a\nb", "{x}", ""]),
    SCALARS,
)
def test_a_key_of_any_text_is_reported_in_plain_lines(
    place: tuple[dict[str, Any], tuple[str | int, ...]], key: str, value: object
) -> None:
    """No key, however odd, breaks the message's lines or is passed over."""
    sample, path = place
    assert problems_of(changed(sample, (*path[:-1], key), value))


@VARIANTS
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_raise_anything_but_a_profile_error(source: bytes) -> None:
    """Whatever a file holds, the answer is one ProfileError."""
    with pytest.raises(ProfileError):
        parse_profile(SLUG, source)


def test_no_profile_has_a_field_of_the_other_protocol() -> None:
    """What is SAML's stands in no OIDC profile, nor the other way round, down to the tables."""
    common = set(OidcProfile.model_fields) & set(SamlProfile.model_fields)
    assert set(OidcProfile.model_fields) - common == {"oidc"}
    assert set(SamlProfile.model_fields) - common == {"saml"}
