"""Where the fields of one profile contradict one another, said for each with its key path and what to do.

The rules read the file's own tables and tolerate what is missing or malformed there, because the fields' own checks
report that: so one message holds both kinds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vendors.addresses import PLACEHOLDER, names_in, same_mailbox
from vendors.smime import address_problem

Path = tuple[str | int, ...]
Contradiction = tuple[Path, object, str]

NON_GALLERY_TEMPLATE = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"

_CERTIFICATE_CARRIERS = ("metadata_url", "certificate_base64", "certificate_pem")
_DELIVERED_BY: Mapping[str, tuple[str, ...]] = {
    "saml": (
        *_CERTIFICATE_CARRIERS,
        *("login_url", "logout_url", "entra_identifier", "tenant_id", "client_id", "user_access_url"),
    ),
    "oidc": ("tenant_id", "client_id", "client_secret", "discovery_url", "user_access_url"),
}
_KNOWN = {value for values in _DELIVERED_BY.values() for value in values}  # others are the fields' own problem
# A hand-off mail begins with lines of these names, and a reader finds values by name.
_MAIL_LINES = ("vendor", "instance", "reference", "page", "code")


def contradictions(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Yield every contradiction of a profile's tables."""
    yield from _source(profile)
    yield from _placeholders(profile)
    yield from _sign_in(profile)
    yield from _addressee(_table(profile, "handoff"))
    yield from _delivery(profile)
    yield from _repetitions(profile)


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    return value if isinstance(value, Mapping) else {}


def _texts(table: Mapping[str, Any], key: str) -> list[tuple[int, str]]:
    value = table.get(key)
    return (
        [(i, text) for i, text in enumerate(value) if isinstance(text, str)] if isinstance(value, list | tuple) else []
    )


def _source(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    source = _table(profile, "source")
    if "registration" in source:
        if profile.get("protocol") == "saml":
            yield (
                ("source", "registration"),
                source["registration"],
                (
                    "does not go with SAML: an ordinary registration has no signing certificate; name a gallery entry,"
                    f' or template_id = "{NON_GALLERY_TEMPLATE}" for an application outside the gallery'
                ),
            )
        for section, key in (("oidc", "redirect_uris"), ("saml", "identifiers"), ("saml", "reply_urls")):
            if _table(profile, section).get(key) == "template":
                yield (
                    (section, key),
                    "template",
                    "needs a gallery source: an ordinary registration comes without values; list them",
                )
    elif "source" in profile and source.get("gallery") is None and source.get("template_id") is None:
        yield (
            ("source",),
            profile["source"],
            "must say where the application comes from; write gallery, template_id or registration = true",
        )


def _templates(profile: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for section, lists, singles in (
        ("oidc", ("redirect_uris",), ("front_channel_logout_url", "sign_on_url")),
        ("saml", ("identifiers", "reply_urls"), ("sign_on_url", "logout_url", "relay_state")),
    ):
        table = _table(profile, section)
        for key in lists:
            yield from (((section, key, index), text) for index, text in _texts(table, key))
        yield from (((section, key), table[key]) for key in singles if isinstance(table.get(key), str))


def _placeholders(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    declared = _table(profile, "parameters")
    used: set[str] = set()
    for path, template in _templates(profile):
        for name in names_in(template):
            used.add(name)
            if name not in declared:
                yield path, template, f"uses {{{name}}}, which no parameter declares; add [parameters.{name}]"
    for name in declared:
        if name not in used and PLACEHOLDER.fullmatch(f"{{{name}}}"):
            yield (
                ("parameters", name),
                declared[name],
                f"is used nowhere; write {{{name}}} in a URL, identifier or relay state, or remove the parameter",
            )


def _sign_in(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    saml = _table(profile, "saml")
    fixed = [text for _, text in _texts(saml, "identifiers") if not names_in(text)]
    if fixed and profile.get("instances", "many") != "one":
        yield (
            ("instances",),
            profile.get("instances", "many"),
            (
                f'must be "one": the identifier {fixed[0]!r} is fixed and exists once per tenant; write instances ='
                ' "one", or put a placeholder into the identifier'
            ),
        )
    if saml.get("initiated_by") == "sp" and saml.get("sign_on_url") is None:
        yield ("saml", "initiated_by"), "sp", "needs sign_on_url, the vendor's page where a sign-in begins; add it"
    if saml.get("initiated_by") == "idp" and saml.get("sign_on_url") is not None:
        yield (
            ("saml", "sign_on_url"),
            saml["sign_on_url"],
            'makes My Apps begin at the vendor, which takes IdP-initiated sign-ins only; remove it or write "both"',
        )
    scopes = [text for _, text in _texts(_table(profile, "oidc"), "scopes")]
    if scopes and "openid" not in scopes:
        yield ("oidc", "scopes"), scopes, 'must hold "openid" (OpenID Connect Core section 3.1.2.1); add it'


def _addressee(handoff: Mapping[str, Any]) -> Iterator[Contradiction]:
    to, contact, code_to = handoff.get("to"), handoff.get("contact"), handoff.get("code_to")
    if to == "vendor" and contact is None:
        yield ("handoff", "contact"), None, 'is required where to = "vendor"; add the address from the vendor\'s guide'
    if to == "owner":
        for key in ("contact", "code_to"):
            if handoff.get(key) is not None:
                yield (
                    ("handoff", key),
                    handoff[key],
                    'has no use where to = "owner"; remove it or write to = "vendor"',
                )
    if isinstance(contact, str) and isinstance(code_to, str) and same_mailbox(contact, code_to):
        yield (
            ("handoff", "code_to"),
            code_to,
            (
                "reaches the mailbox of contact: link and code must travel apart; name another person, or remove it so"
                " that the owner passes the code on"
            ),
        )


def _delivery(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    handoff, protocol = _table(profile, "handoff"), str(profile.get("protocol"))
    fitting = _DELIVERED_BY.get(protocol, tuple(_KNOWN))
    delivered = _texts(handoff, "deliver")
    values = [value for _, value in delivered]
    for index, value in delivered:
        if value in _KNOWN and value not in fitting:
            choice = ", ".join(fitting)
            yield ("handoff", "deliver", index), value, f"is no value of protocol {protocol}; choose from {choice}"
    if values and protocol == "saml" and not set(values) & set(_CERTIFICATE_CARRIERS):
        carriers = ", ".join(_CERTIFICATE_CARRIERS)
        yield ("handoff", "deliver"), values, f"gives the vendor no signing certificate; add one of {carriers}"
    if protocol == "oidc":
        yield from (
            (("handoff", "deliver"), values, f"must hold {needed}: without it the vendor cannot sign anyone in; add it")
            for needed in ("client_id", "client_secret")
            if values and needed not in values
        )
        if "user_access_url" in values and _table(profile, "oidc").get("sign_on_url") is None:
            yield (
                ("handoff", "deliver", values.index("user_access_url")),
                "user_access_url",
                "leads nowhere without oidc.sign_on_url; add sign_on_url or remove it",
            )
    if handoff.get("plain") is True and "client_secret" not in values:
        yield ("handoff", "plain"), True, "has no use where no client_secret is delivered; remove it"
    yield from _sealing(handoff, values)
    yield from _labels(_table(handoff, "fields"), values)


def _sealing(handoff: Mapping[str, Any], delivered: list[str]) -> Iterator[Contradiction]:
    if handoff.get("smime") is None:
        return
    contact, path = handoff.get("contact"), ("handoff", "smime")
    if handoff.get("to") == "owner":
        yield path, "a table", 'encrypts to the vendor\'s contact; write to = "vendor" and contact, or remove it'
    if delivered and "client_secret" not in delivered:
        yield path, "a table", "has no use where no client_secret is delivered; remove it"
    if handoff.get("plain") is True:
        yield path, "a table", "and plain exclude each other: the secret is encrypted or it is not; remove one"
    certificate = _table(handoff, "smime").get("certificate")
    if isinstance(certificate, str) and isinstance(contact, str):
        problem = address_problem(certificate, contact)
        if problem:
            yield (*path, "certificate"), certificate, problem


def _labels(labels: Mapping[str, Any], delivered: list[str]) -> Iterator[Contradiction]:
    for value in delivered:
        if value not in labels and value in _KNOWN:
            yield (
                ("handoff", "fields", value),
                None,
                f"is missing: {value} is delivered; add the name of the vendor's field it goes into",
            )
    seen: dict[str, str] = {}
    for value, label in labels.items():
        path = ("handoff", "fields", value)
        if value not in delivered:
            yield path, label, "names a field for a value that is not delivered; add it to deliver or remove the name"
        if not isinstance(label, str):
            continue
        folded = label.casefold()
        if folded in seen:
            yield path, label, f"is the name of {seen[folded]!r} too; fields are told apart by name, so use two"
        if folded in _MAIL_LINES or (folded == "tenant id" and value != "tenant_id"):
            yield path, label, "is the name of another line of the mail; use a longer name of the vendor's field"
        seen[folded] = value


def _repetitions(profile: Mapping[str, Any]) -> Iterator[Contradiction]:
    for section, key in (
        ("oidc", "redirect_uris"),
        ("oidc", "scopes"),
        ("saml", "identifiers"),
        ("saml", "reply_urls"),
        ("handoff", "deliver"),
    ):
        seen: set[str] = set()
        for index, text in _texts(_table(profile, section), key):
            if text in seen:
                yield (section, key, index), text, "stands there twice; remove one"
            seen.add(text)
