"""Fill the templates: a letter becomes a mail, values become a page. What they say is decided in `sso/`."""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sso.handoff import shown
from sso.letters import Letter, Mail

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent.parent / "templates"

PageFolder = Literal["handoff_page", "handoff_values", "handoff_notice"]


def render_mail(letter: Letter) -> Mail:
    """Put a letter into words; raises `Refused` where its subject or an address could write a header.

    A plain hand-off's secret is opened here and nowhere before. What is to be sealed must be a file already: raises
    `ValueError`, because a mail without it would lose it.
    """
    if letter.sealed is not None:
        msg = f"the mail {letter.reference} holds a secret that is not sealed yet"
        raise ValueError(msg)
    values = {**letter.values, "secret": None if letter.secret is None else shown(letter.secret)}

    def fill(part: str) -> str:
        return environment().get_template(f"{letter.folder}/{part}").render(values)

    return Mail(
        to=letter.to,
        cc=letter.cc,
        reply_to=letter.reply_to,
        subject=fill("subject.txt"),
        text=re.sub(r"\n{3,}", "\n\n", fill("body.txt")).strip("\n") + "\n",
        html=fill("body.html"),
        attachments=letter.attachments,
        reference=letter.reference,
    )


def render_page(folder: PageFolder, values: Mapping[str, object]) -> str:
    """Fill a page; every value is escaped, and one that is missing is an error."""
    return environment().get_template(f"{folder}/body.html").render(values, style=page_style())


@functools.cache
def page_style() -> str:
    """The one style sheet of all pages."""
    return (TEMPLATES / "page.css").read_text("utf-8")


@functools.cache
def page_style_source() -> str:
    """The style sheet as a source of a Content-Security-Policy (CSP level 3: a hash of the element's exact text)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(page_style().encode()).digest()).decode()}'"


@functools.cache
def environment() -> "Environment":
    """The templates, each read once, at its first use."""
    # 40 ms that only a worker which sends mails or shows pages pays, and not every start.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # noqa: PLC0415

    # Plain text is not HTML: escaping there would show people "&amp;".
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
