"""The application gallery: the vendors' templates, the one for applications that are not in it, and neighbours."""

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

NON_GALLERY_TEMPLATE_ID = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
"""The template of the global cloud (learn.microsoft.com/graph/api/applicationtemplate-instantiate)."""

THOROPASS_IDENTIFIER = "https://login.thoropass.com/saml/metadata"
THOROPASS_REPLY_URL = "https://login.thoropass.com/saml/acs"
ILOGON_MHA_REDIRECT_URI = "https://mha.keyfields.com/ilogon/signin-oidc"

# Seen in many gallery applications, so that what reads roles by name is not led by their identifiers.
USER_ROLE_ID = "18d14569-c3bd-439b-9a66-3a2aee01d14f"
MSIAM_ACCESS_ROLE_ID = "b9632174-c057-4f7e-951b-be3adc52bfe6"


@dataclass(frozen=True)
class Template:
    """One entry of the gallery, with the URLs it may preset."""

    template_id: str
    name: str
    publisher: str
    home_page: str
    modes: tuple[str, ...]
    categories: tuple[str, ...] = ("businessMgmt",)
    identifiers: tuple[str, ...] = ()
    reply_urls: tuple[str, ...] = ()
    sign_on_url: str | None = None

    @property
    def slug(self) -> str:
        """Return the word that the home page's query carries."""
        return "".join(letter for letter in self.name.lower() if letter.isalnum())

    def listed(self) -> dict[str, Any]:
        """Return the template as v1.0 shows it."""
        return {
            "id": self.template_id,
            "displayName": self.name,
            "description": f"Use Microsoft Entra ID to manage user access and enable single sign-on with {self.name}.",
            "publisher": self.publisher,
            "homePageUrl": self.home_page,
            "logoUrl": f"https://images.example.com/{self.slug}_215.png",
            "categories": list(self.categories),
            "endpoints": [],
            "supportedSingleSignOnModes": list(self.modes),
            "supportedProvisioningTypes": [],
            "isEntraIntegrated": True,
            "deprecationDate": None,
            "lastModifiedDateTime": "2024-08-12T00:00:00Z",
            "riskScore": None,
            "riskFactors": None,
        }

    def configuration_uris(self) -> list[dict[str, Any]]:
        """Return the preset URLs as beta shows them; some entries are patterns with `*`, as in the real gallery."""
        mode = self.modes[0]
        presets = [
            ("identifierUri", self.identifiers),
            ("redirectUri", (*(_pattern(url) for url in self.reply_urls[:1]), *self.reply_urls)),
            ("loginUrl", (self.sign_on_url,) if self.sign_on_url else ()),
        ]
        return [
            {
                "usage": usage,
                "values": list(values),
                "examples": None,
                "isRequired": usage != "loginUrl",
                "appliesToSingleSignOnMode": mode,
            }
            for usage, values in presets
            if values
        ]


def _pattern(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://*.{'.'.join(host.split('.')[-2:])}/{path}"


def _template(name: str, publisher: str, domain: str, *modes: str, **presets: Any) -> Template:
    template_id = str(uuid5(NAMESPACE_URL, f"https://gallery.example.com/{name}/{publisher}/{modes}"))
    return Template(template_id, name, publisher, f"https://www.{domain}/", modes, **presets)


TEMPLATES = {
    template.template_id: template
    for template in (
        Template(NON_GALLERY_TEMPLATE_ID, "Custom", "Microsoft", "", ("saml", "external", "password")),
        _template("ClickTime", "ClickTime", "clicktime.com", "saml", "password", "external"),
        _template("SmartTrace", "SmartTrace", "smarttrace.ai", "oidc"),
        _template(
            "Thoropass",
            "Thoropass",
            "thoropass.com",
            "saml",
            identifiers=(THOROPASS_IDENTIFIER,),
            reply_urls=(THOROPASS_REPLY_URL,),
            sign_on_url="https://login.thoropass.com",
        ),
        _template("iLOGON_MHA", "Keyfields", "keyfields.com", "oidc", reply_urls=(ILOGON_MHA_REDIRECT_URI,)),
        _template("ClickTime Mobile", "ClickTime", "clicktime.com", "password"),
        _template("ClickUp Productivity Platform", "ClickUp", "clickup.com", "saml"),
        _template("Clicktale", "Clicktale", "clicktale.com", "saml"),
        _template("SmartTraceability", "Trace Foods", "tracefoods.example", "saml"),
        _template("Smart Trace Logistics", "Smart Logistics", "smartlogistics.example", "oidc"),
        _template("Smartsheet", "Smartsheet", "smartsheet.com", "saml", "password"),
        _template("Thoropass Auditor", "Thoropass", "thoropass.com", "password"),
        _template("Thorough Pass", "Thorough", "thorough.example", "saml"),
        _template("iLOGON", "Keyfields", "keyfields.com", "oidc"),
        _template("iLogon Kiosk", "Logon Systems", "logonsystems.example", "password"),
        _template("HelloTeam", "HelloTeam", "helloteam.com", "saml"),
        _template("Tracker Hello", "Tracker", "tracker.example", "oidc"),
        # Two of one name: a profile that names it by display name alone must be refused.
        _template("Expense Desk", "Expense Desk", "expensedesk.example", "saml"),
        _template("Expense Desk", "Desk Holding", "deskholding.example", "saml"),
    )
}
