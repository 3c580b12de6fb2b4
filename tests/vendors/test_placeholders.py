"""Filling templates: no value changes where a URL leads."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendors.addresses import identifier_problem, redirect_uri_problem, registrable_domain, url_problem
from vendors.placeholders import FillError, fill

HOSTILE = st.one_of(
    st.text(min_size=1, max_size=60),
    st.lists(st.sampled_from([*"/\\?#@:.%&=[]{}\n\t \u202e", "..", "evil.example", "//", "%2e", "X"]), min_size=1).map(
        "".join
    ),
)
TEMPLATES = (
    "https://{X}.vendor.com/callback",
    "https://vendor.com/{X}/callback",
    "https://vendor.com/{X}",
    "https://vendor.com/.{X}/callback",
    "https://vendor.com/callback?tenant={X}&keep=1",
    "https://vendor.com:8443/{X}?x={X}",
)


@given(HOSTILE, st.sampled_from(TEMPLATES))
@example("evil.example/", TEMPLATES[0])
@example("evil.example#", TEMPLATES[0])
@example("a@evil", TEMPLATES[0])
@example("..", TEMPLATES[1])
@example(".", TEMPLATES[3])
def test_no_value_changes_scheme_owner_port_or_shape(value: str, template: str) -> None:
    """Whatever a request sends, a filled URL keeps its scheme, domain, port, depth and other query, or is refused."""
    try:
        filled = fill(template, {"X": value})
    except FillError:
        return
    parts, plain = urlsplit(filled), urlsplit(template.replace("{X}", "x"))
    assert (parts.scheme, parts.port, parts.username) == ("https", plain.port, None)
    assert registrable_domain(parts.hostname or "") == "vendor.com"
    assert parts.path.count("/") == plain.path.count("/")
    assert not parts.fragment
    assert parse_qs(parts.query).get("keep") == parse_qs(plain.query).get("keep")
    assert redirect_uri_problem(filled) is None


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).filter(
        lambda text: text not in (".", "..")
    )
)
def test_a_value_in_the_path_is_read_back_unchanged(value: str) -> None:
    """Percent-encoding loses nothing: the vendor reads the value that the request sent."""
    filled = fill("https://vendor.com/{X}/end", {"X": value})
    assert unquote(urlsplit(filled).path) == f"/{value}/end"


REFUSED = {
    "a value that is missing": ("https://vendor.com/{X}", {}, "Add its value"),
    "an empty value": ("https://vendor.com/{X}", {"X": ""}, "Add its value"),
    "two labels in a host": ("https://{X}.vendor.com/", {"X": "a.b"}, "host name"),
    "a label that begins with a hyphen": ("https://{X}.vendor.com/", {"X": "-a"}, "host name"),
    "a label with a line break at its end": ("https://{X}.vendor.com/", {"X": "a\n"}, "host name"),
    "a dot segment": ("https://vendor.com/{X}/callback", {"X": ".."}, "lead elsewhere"),
    "a value that makes it too long": ("https://vendor.com/{X}", {"X": "é" * 60}, "characters when filled"),
    "a value that makes a public suffix's exception": ("https://{X}.vendor.ck/", {"X": "-"}, "host name"),
    "a value that makes a rule of the public suffix list": ("https://{X}.ck/", {"X": "www"}, "lead elsewhere"),
}


@pytest.mark.parametrize(("template", "parameters", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_an_unfit_value_is_refused_with_the_reason(template: str, parameters: dict[str, str], reason: str) -> None:
    """The refusal says which template, why, and what to do."""
    with pytest.raises(FillError, match=reason):
        fill(template, parameters)


def test_identifiers_of_any_scheme_are_filled() -> None:
    """A URN is filled as a URL's path is."""
    assert fill("urn:vendor:{X}:sp", {"X": "a b/c"}) == "urn:vendor:a%20b%2Fc:sp"
    assert fill("https://{A}.vendor.com/{B}/{A}", {"A": "one", "B": "two"}) == "https://one.vendor.com/two/one"


URLS = {
    "plain http": ("http://vendor.com/", "https://"),
    "a script": ("javascript:alert(1)", "https://"),
    "no scheme": ("vendor.com/callback", "https://"),
    "capital scheme": ("HTTPS://vendor.com/", "https://"),
    "an address": ("https://192.0.2.1/callback", "registrable"),
    "an IPv6 address": ("https://[2001:db8::1]/callback", "port|host"),
    "a bare public suffix": ("https://co.uk/callback", "registrable"),
    "a private suffix": ("https://azurewebsites.net/callback", "registrable"),
    "a user name": ("https://vendor.com@evil.example/", "user name"),
    "a user name by placeholder": ("https://{X}@vendor.com/", "user name"),
    "a placeholder as port": ("https://vendor.com:{X}/", "port"),
    "a port beyond 65535": ("https://vendor.com:65536/", "port"),
    "a placeholder as domain": ("https://{X}/callback", "registrable"),
    "a placeholder in the registrable domain": ("https://{X}.com/callback", "registrable"),
    "a placeholder below a two-label suffix": ("https://{X}.co.uk/callback", "registrable"),
    "a placeholder that names another owner": ("https://{X}.azurewebsites.net/", "registrable"),
    "a placeholder right of the domain": ("https://vendor.{X}/", "registrable"),
    "a placeholder that is part of a label": ("https://a{X}.vendor.com/", "whole label"),
    "a placeholder behind #": ("https://vendor.com/#{X}", "behind #"),
    "an unclosed brace": ("https://vendor.com/{X", "brace"),
    "an empty placeholder": ("https://vendor.com/{}", "brace"),
    "a space": ("https://vendor.com/a b", "spaces"),
    "a line break": ("https://vendor.com/\nx", "spaces"),
    "a backslash": ("https://vendor.com\\@evil.example/", "RFC 3986"),
    "an umlaut": ("https://véndor.com/", "punycode"),
    "a dot segment": ("https://vendor.com/a/../b", "segment"),
    "an encoded dot segment": ("https://vendor.com/a/%2E%2e/b", "segment"),
    "a broken percent-encoding": ("https://vendor.com/%zz", "%25"),
    "257 characters": ("https://vendor.com/" + "a" * 238, "256"),
    "a double dot in the host": ("https://a..vendor.com/", "host"),
}


@pytest.mark.parametrize(("url", "reason"), URLS.values(), ids=URLS.keys())
def test_a_url_that_could_lead_elsewhere_is_no_url_of_a_profile(url: str, reason: str) -> None:
    """Each such URL is refused with its own reason."""
    problem = url_problem(url)
    assert problem is not None
    assert re.search(reason, problem)


@pytest.mark.parametrize("character", "!$'(),;*#")
def test_a_redirect_uri_has_none_of_the_characters_that_entra_refuses(character: str) -> None:
    """What is allowed in a URL, but not in a redirect URI, is refused there alone."""
    url = f"https://vendor.com/a{character}b"
    assert url_problem(url) is None
    assert redirect_uri_problem(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.com",
        "https://{A}.{B}.vendor.co.uk/{C}?d={D}",
        "https://app.azurewebsites.net/{X}",
        "https://xn--vndor-bsa.com:8443/a%20b",
        "https://vendor.com/" + "a" * 237,
    ],
)
def test_a_url_with_a_literal_owner_is_taken(url: str) -> None:
    """Placeholders left of the domain, in path and in query are fine."""
    assert url_problem(url) is None
    assert redirect_uri_problem(url) is None


IDENTIFIERS = {
    "a URN": ("urn:vendor:sp", True),
    "a plain http name": ("http://vendor.com/sp", True),
    "Graph's own scheme": ("api://{X}/sp", True),
    "a bare word": ("vendor", False),
    "a name whose owner a request chooses": ("https://{X}/sp", False),
    "http without slashes": ("https:vendor.com", False),
    "a space": ("urn:vendor sp", False),
}


@pytest.mark.parametrize(("identifier", "taken"), IDENTIFIERS.values(), ids=IDENTIFIERS.keys())
def test_an_identifier_is_any_absolute_uri(identifier: str, taken: bool) -> None:
    """Entity IDs need no TLS, but where they are web addresses their owner is literal."""
    assert (identifier_problem(identifier) is None) is taken
