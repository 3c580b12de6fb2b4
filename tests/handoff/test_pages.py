"""The pages as a browser, a screen reader and an attacker see them."""

import base64
import hashlib

import pytest
from jinja2 import UndefinedError
from lxml.html import HtmlElement, document_fromstring

from clients.render import PageFolder, page_style_source, render_page
from tests.handoff.test_mails import HOSTILE


def parsed(page: str) -> HtmlElement:
    """A page as a browser reads it."""
    return document_fromstring(page)


def filled(text: str) -> dict[str, object]:
    """Every value that some page shows, all of them holding this text."""
    return {
        **dict.fromkeys(("organisation", "domain", "vendor", "reference", "heading", "sentence"), text),
        **dict.fromkeys(("error", "text", "guide", "collected", "secret_label"), text),
        "error_in_code": True,
        "error_in_text": True,
        "alarm": True,
        "can_collect": True,
        "can_activate": False,
        "can_acknowledge": True,
        "steps": (text, text),
        "facts": ((text, text),),
        "values": ((text, text), ("Client Secret", "line one\nline two")),
    }


FOLDERS: tuple[PageFolder, ...] = ("handoff_page", "handoff_values", "handoff_notice")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_text_on_a_page_stays_text(folder: PageFolder, text: str) -> None:
    """No text makes an element, an attribute or runs as a template: the page has the elements it has without it."""
    hostile, quiet = (
        parsed(render_page(folder, filled(said))) for said in (text.replace("\x00", "").replace("\x1b", ""), "quiet")
    )
    assert [(element.tag, sorted(element.keys())) for element in hostile.iter()] == [
        (element.tag, sorted(element.keys())) for element in quiet.iter()
    ]
    assert ("{{7*7}}" in text) == ("{{7*7}}" in hostile.text_content())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_page_needs_nothing_but_itself(folder: PageFolder) -> None:
    """No script, no inline style attribute, no resource; the one style element has the hash that the policy names."""
    document = parsed(render_page(folder, filled("quiet")))
    assert [
        tag for tag in ("script", "link", "img", "iframe", "object") if document.find(f".//{tag}") is not None
    ] == []
    assert not [element for element in document.iter() if {"style", "onclick", "onload"} & set(element.keys())]
    style = document.findtext(".//style")
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page_style_source() == f"'sha256-{digest}'"
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_page_is_read_aloud_well(folder: PageFolder) -> None:
    """Language, title, one first heading, a width for phones, and a label for every field."""
    document = parsed(render_page(folder, filled("quiet")))
    assert document.get("lang") == "en"
    assert document.findtext(".//title")
    assert len(document.findall(".//h1")) == 1
    assert document.xpath("//meta[@name='viewport']")
    labelled = {label.get("for") for label in document.iter("label")}
    fields = [field.get("id") for field in document.iter("input", "textarea")]
    assert set(fields) == labelled
    described = {
        word for field in document.iter("input", "textarea") for word in str(field.get("aria-describedby")).split()
    }
    missing = {name for name in described if not document.xpath(f"//*[@id='{name}']")}
    # Beside the values nothing can have been wrong, so nothing is said to be.
    assert missing <= ({"error"} if folder == "handoff_values" else set())


def test_the_form_posts_to_its_own_address() -> None:
    """One form without an action address, one field for the code, and the three buttons."""
    document = parsed(render_page("handoff_page", filled("quiet")))
    [form] = document.findall(".//form")
    assert (form.get("method"), form.get("action")) == ("post", None)
    assert [field.get("name") for field in form.iter("input", "textarea")] == ["code", "text"]
    assert [(button.get("name"), button.get("value")) for button in form.iter("button")] == [
        ("action", "collect"),
        ("action", "acknowledge"),
        ("action", "problem"),
    ]


def test_collected_values_stand_in_a_list_exactly() -> None:
    """Each value stands in <code> beside its field's name, line breaks of a certificate included."""
    document = parsed(render_page("handoff_values", {**filled("quiet"), "values": (("A & B", "1\n2"),)}))
    [listed] = document.xpath("//dl[@class='values']")
    assert [term.text_content() for term in listed.iter("dt")] == ["A & B"]
    assert [value.text_content() for value in listed.iter("code")] == ["1\n2"]


def test_a_value_that_is_missing_is_an_error() -> None:
    """A page is never shown with a hole in it."""
    with pytest.raises(UndefinedError):
        render_page("handoff_notice", {"heading": "x"})
