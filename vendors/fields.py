"""The scalar types of a profile: each checks its own text and tells an editor, through the schema, what it takes."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from vendors import addresses
from vendors.patterns import pattern_problem
from vendors.smime import LONGEST_PEM, certificate_problem
from vendors.windows import window_problem

PARAMETER_NAME = "[A-Za-z][A-Za-z0-9_]{0,31}"  # 'gatehouse:parameter:{name}={value}' must fit a tag of 256 characters
PARAMETER_COUNT = 20


def _checked(problem_of: Callable[[str], str | None]) -> AfterValidator:
    """Turn a rule that answers a sentence into a validator."""

    def check(text: str) -> str:
        if problem := problem_of(text):
            raise PydanticCustomError("profile_rule", problem)
        return text

    return AfterValidator(check)


def unprintable(text: str) -> str | None:
    """Return the first character that breaks, hides or turns text (control, bidi, odd spaces, surrogates), or None."""
    return next((character for character in text if not character.isprintable()), None)


def _line_problem(longest: int) -> Callable[[str], str | None]:
    def problem_of(text: str) -> str | None:
        if not text.strip() or text != text.strip():
            return "must have text, without spaces around it"
        if len(text) > longest:
            return f"must have at most {longest} characters, has {len(text)}; shorten it"
        if found := unprintable(text):
            return f"must be one line without control, bidi or invisible characters; remove U+{ord(found):04X}"
        return None

    return problem_of


def _label_problem(text: str) -> str | None:
    if ":" in text:
        return "must not contain a colon: the mail writes 'label: value'; use the vendor's field name without it"
    return _line_problem(80)(text)


def _template_id_problem(text: str) -> str | None:
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        return None
    return "must be a template ID such as 8adf8e6e-67b2-4cf2-a259-e3dc5476c621, in small letters; /health prints it"


def _scope_problem(text: str) -> str | None:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,99}", text):
        return None
    return "must be one scope of Microsoft Graph such as openid or User.Read; list several as separate texts"


def _parameter_name_problem(text: str) -> str | None:
    if re.fullmatch(PARAMETER_NAME, text):
        return None
    return "must be a letter and then letters, digits or _, at most 32 characters; rename the parameter"


def _guide_problem(text: str) -> str | None:
    if "{" in text:
        return "must be a literal URL; remove the placeholder"
    return addresses.url_problem(text)


def _text(longest: int, **schema: str | int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": longest, **schema})


Name = Annotated[str, _checked(_line_problem(120)), _text(120)]
Step = Annotated[str, _checked(_line_problem(300)), _text(300)]
FieldLabel = Annotated[str, _checked(_label_problem), _text(80, pattern="^[^:]+$")]
Role = Annotated[str, _checked(_line_problem(120)), _text(120)]
Guide = Annotated[str, _checked(_guide_problem), _text(256, pattern="^https://[^{}]+$")]
UrlTemplate = Annotated[str, _checked(addresses.url_problem), _text(256, pattern="^https://")]
ReplyUrlTemplate = Annotated[
    str, _checked(addresses.redirect_uri_problem), _text(256, pattern="^https://[^!$'(),;*#]+$")
]
IdentifierTemplate = Annotated[
    str, _checked(addresses.identifier_problem), _text(256, pattern="^[A-Za-z][A-Za-z0-9+.-]*:")
]
RelayStateTemplate = Annotated[str, _checked(addresses.relay_state_problem), _text(256)]
MailAddress = Annotated[str, _checked(addresses.mail_address_problem), _text(254, format="email")]
PinnedPem = Annotated[
    str, _checked(certificate_problem), _text(LONGEST_PEM, pattern="^\\s*-----BEGIN CERTIFICATE-----")
]
TemplateId = Annotated[str, _checked(_template_id_problem), _text(36, format="uuid")]
Scope = Annotated[str, _checked(_scope_problem), _text(100, pattern="^[A-Za-z][A-Za-z0-9._-]*$")]
ParameterName = Annotated[str, _checked(_parameter_name_problem), _text(32, pattern=f"^{PARAMETER_NAME}$")]
FreezeWindow = Annotated[str, _checked(window_problem), _text(24, pattern="^[0-9a-z.-]+$")]
Pattern = Annotated[str, _checked(pattern_problem), _text(200, format="regex")]
