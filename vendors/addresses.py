"""Which URLs, identifiers and mail addresses a profile may name, each rule answered as a sentence or None.

A redirect URI is a credential: whoever owns its domain receives the sign-in. So the registrable domain of every URL
is literal, and a placeholder may only be one whole label left of it, or stand in path or query.
"""

import functools
import ipaddress
import re
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

# Entra's limit for one redirect URI and the characters it refuses there:
# https://learn.microsoft.com/entra/identity-platform/reply-url
LONGEST_URL = 256
REFUSED_IN_REDIRECT_URIS = "!$'(),;"

PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123 section 2.1
_URI_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}]*")  # RFC 3986 section 2, and our braces
_ABSOLUTE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.+)")
_LOCAL_PART = re.compile(r"[A-Za-z0-9_+'-]+(\.[A-Za-z0-9_+'-]+)*")


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    """Return the list that comes with the package: read once, at the first URL, without network."""
    return PublicSuffixList()


def registrable_domain(host: str) -> str | None:
    """Return the part of a host that one owner registered, or None for an IP address or a bare public suffix.

    Private suffixes count (`azurewebsites.net`): there the label to their left names another owner.
    """
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        domain: str | None = _public_suffixes().privatesuffix(host.lower())
        return domain
    return None


def names_in(template: str) -> tuple[str, ...]:
    """Return the names of a template's placeholders in their order, each once."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(template)))


def url_problem(template: str) -> str | None:
    """Say what keeps this text from being an https URL whose placeholders cannot change its owner."""
    if problem := _text_problem(template):
        return problem
    if not template.startswith("https://"):
        return "must begin with https://; a sign-in travels over TLS only"
    return _authority_problem(template) or _path_problem(template)


def redirect_uri_problem(template: str) -> str | None:
    """Say what keeps Entra from taking this URL as a redirect URI (OIDC) or reply URL (SAML)."""
    if problem := url_problem(template):
        return problem
    if refused := sorted(set(template) & set(REFUSED_IN_REDIRECT_URIS)):
        return f"must not contain {' '.join(refused)}; Entra refuses it in redirect URIs, so ask the vendor for another"
    if "*" in template:
        return "must not contain a wildcard; list each redirect URI, or use a placeholder"
    if "#" in template:
        return "must not contain a fragment (RFC 6749 section 3.1.2); remove everything from # on"
    return None


def identifier_problem(template: str) -> str | None:
    """Say what keeps this text from being an entity ID: an absolute URI, for http and https with a literal owner."""
    if problem := _text_problem(template):
        return problem
    parts = _ABSOLUTE.fullmatch(template)
    if parts is None:
        return "must be an absolute URI such as https://app.vendor.com/sp or urn:vendor:sp; copy the vendor's entity ID"
    if parts["scheme"].lower() in ("http", "https"):
        if not parts["rest"].startswith("//"):
            return "must have // after the scheme; copy the vendor's entity ID in full"
        return _authority_problem(template) or _path_problem(template)
    return None


def relay_state_problem(template: str) -> str | None:
    """Say what keeps this text from being a relay state: an https URL, or an opaque word of the vendor's."""
    return url_problem(template) if "://" in template else _text_problem(template)


def mail_address_problem(address: str) -> str | None:
    """Say what keeps this text from being exactly one plain mail address."""
    advice = "must be one plain mail address such as support@vendor.com; remove display names, spaces and further ones"
    local, at, domain = address.rpartition("@")
    labels = domain.split(".")
    if not at or len(address) > 254 or len(local) > 64 or _LOCAL_PART.fullmatch(local) is None or len(labels) < 2:
        return advice
    if any(LABEL.fullmatch(label) is None for label in labels) or registrable_domain(domain) is None:
        return advice
    return None


def same_mailbox(one: str, other: str) -> bool:
    """Tell whether two addresses reach one mailbox: case and what follows a plus sign make no difference."""

    def mailbox(address: str) -> str:
        local, _, domain = address.lower().rpartition("@")
        return f"{local.partition('+')[0]}@{domain}"

    return mailbox(one) == mailbox(other)


def _text_problem(template: str) -> str | None:
    if not template or len(template) > LONGEST_URL:
        return f"must have 1 to {LONGEST_URL} characters; Entra takes no longer ones"
    if _URI_CHARACTERS.fullmatch(template) is None:
        return "must be ASCII without spaces (RFC 3986); write other characters percent-encoded, hosts in punycode"
    if set("{}") & set(PLACEHOLDER.sub("", template)):
        return "has a brace that belongs to no placeholder; write a placeholder as {Name}"
    return None


def _authority_problem(template: str) -> str | None:
    authority = re.split(r"[/?#]", template.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        return "must not carry a user name before the host; remove everything up to the @"
    host, colon, port = authority.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and len(port) < 6):
        return "has a port that is no literal number from 1 to 65535; correct or remove it"
    labels = host.split(".")
    literal = [PLACEHOLDER.sub("placeholder", label) for label in labels]
    partial = [label for label in labels if PLACEHOLDER.search(label) and PLACEHOLDER.fullmatch(label) is None]
    if partial:
        return f"has the label {partial[0]}; in a host a placeholder is one whole label, such as {{Name}}.vendor.com"
    if len(host) > 253 or any(LABEL.fullmatch(label) is None for label in literal):
        return "has no well-formed host name; copy it from the vendor's guide"
    domain = registrable_domain(".".join(literal))
    if domain is None:
        return "must name a host below a registrable domain, no address or public suffix; use the vendor's host name"
    owned = labels[len(labels) - len(domain.split(".")) :]
    if any(PLACEHOLDER.search(label) for label in owned):
        return "has a placeholder in the registrable domain; a request must not choose who receives the sign-in"
    return None


def _path_problem(template: str) -> str | None:
    if has_dot_segment(template):
        return "has a . or .. segment in its path; write the path without it"
    if PLACEHOLDER.search(template.partition("#")[2]):
        return "has a placeholder behind #; placeholders stand in host, path or query"
    if re.search(r"%(?![0-9A-Fa-f]{2})", template):
        return "has a % that begins no percent-encoding; write it as %25"
    return None


def has_dot_segment(url: str) -> bool:
    """Tell whether a browser would rewrite the URL's path (RFC 3986 section 5.2.4; %2e counts as a dot)."""
    return any(re.fullmatch(r"(\.|%2[eE]){1,2}", segment) for segment in urlsplit(url).path.split("/"))
