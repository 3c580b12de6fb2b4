"""What the authority shows a browser: who is there, forms that submit themselves, and refusals."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from html import escape

from aiohttp import web

from sandbox.aadsts import SignInError

USER = "x-sandbox-user"
"""Header or cookie by which the sandbox's browser says who sits before it: there are no passwords here."""
HINT = "login_hint"


async def parameters(request: web.Request) -> dict[str, str]:
    """The request's parameters, from the query and from a posted form."""
    found = dict(request.query)
    if request.method == "POST":
        found.update({name: value for name, value in (await request.post()).items() if isinstance(value, str)})
    return found


def browser_user(request: web.Request, given: Mapping[str, str]) -> str | None:
    """The user principal name of the person at the browser, or None where nobody has said so."""
    return request.headers.get(USER) or request.cookies.get(USER) or given.get(HINT) or None


def sign_in_page(request: web.Request, given: Mapping[str, str]) -> web.Response:
    """Ask who is there, and come back with the same request."""
    hidden = _hidden({name: value for name, value in given.items() if name != HINT})
    method = request.method.lower()
    return _page(
        "Sign in to your account",
        f'<form method="{method}" action="{escape(request.path)}">{hidden}'
        f'<label>Who are you? <input name="{HINT}" type="email" placeholder="b.simon@contoso.com"></label>'
        "<button>Sign in</button></form>",
    )


def self_submitting_form(action: str, fields: Mapping[str, str]) -> web.Response:
    """The HTTP POST binding: a form that the browser submits at once (SAML bindings section 3.5)."""
    return _page(
        "Working...",
        f'<form method="POST" name="hiddenform" action="{escape(action)}">{_hidden(fields)}'
        "<noscript><p>Script is disabled. Click Submit to continue.</p><button>Submit</button></noscript></form>"
        "<script>document.forms[0].submit();</script>",
    )


def error_page(problem: SignInError, now: datetime) -> web.Response:
    """The page on which a sign-in ends, with Entra's sentence."""
    details = f"Trace ID: {uuid.uuid4()} Correlation ID: {uuid.uuid4()} Timestamp: {now:%Y-%m-%d %H:%M:%S}Z"
    return _page(
        "Sign in to your account",
        "<h1>Sorry, but we're having trouble signing you in.</h1>"
        f'<p class="error">{escape(problem.sentence)}</p><p>{details}</p>',
        status=problem.status,
    )


def notice_page(heading: str, body: str = "") -> web.Response:
    """A page that says one thing; `body` is HTML."""
    return _page(heading, f"<h1>{escape(heading)}</h1>{body}")


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


def _page(title: str, body: str, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        content_type="text/html",
        charset="utf-8",
        text=f"<!DOCTYPE html><html lang='en'><head><title>{escape(title)}</title></head><body>{body}</body></html>",
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )
