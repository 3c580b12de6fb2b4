"""Looking vendors up by name."""

from pathlib import Path

import pytest

from tests.vendors import samples
from vendors.catalog import Catalog, UnknownVendorError
from vendors.parsing import ProfileError
from vendors.slug import parse_slug


def test_loading_one_of_five_thousand_reads_only_that_file(tmp_path: Path) -> None:
    """A catalogue of thousands costs nothing: every other file here leads nowhere, and reading one would fail."""
    for number in range(4_999):
        (tmp_path / f"vendor_{number}.toml").symlink_to(tmp_path / "absent")
    (tmp_path / "paperweight.toml").write_bytes(samples.toml(samples.OIDC))
    catalog = Catalog(tmp_path)
    assert catalog.load("paperweight").name == "Paperweight"
    assert len(catalog.slugs()) == 5_000


def test_a_profile_is_read_once(tmp_path: Path) -> None:
    """The second look-up answers from memory, even when the file is gone."""
    (tmp_path / "paperweight.toml").write_bytes(samples.toml(samples.OIDC))
    catalog = Catalog(tmp_path)
    first = catalog.load("paperweight")
    (tmp_path / "paperweight.toml").unlink()
    assert catalog.load("paperweight") is first


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("clicktme", "clicktime"),
        ("ClickTime", "clicktime"),
        ("iLOGON MHA", "ilogon_mha"),
        ("smart-trace", "smarttrace"),
        ("hello tracks", "hellotracks"),
    ],
)
def test_an_unknown_vendor_is_answered_with_the_nearest_names(written: str, meant: str) -> None:
    """Somebody who mistypes a vendor reads which one was meant."""
    with pytest.raises(UnknownVendorError, match=f"Did you mean {meant}") as caught:
        Catalog().load(written)
    assert caught.value.nearest[0] == meant


@pytest.mark.parametrize(
    "name", ["../vendors/clicktime", "clicktime.toml", "CLICKTIME", "", "a" * 41, "a__b", "_", "é"]
)
def test_a_name_that_is_no_slug_reads_no_file(name: str) -> None:
    """No name from a request becomes a path."""
    with pytest.raises(UnknownVendorError):
        Catalog().load(name)
    with pytest.raises(ValueError, match="at most 40 characters"):
        parse_slug(name)


def test_a_vendor_like_none_is_answered_with_where_the_names_are() -> None:
    """Without a near name the sentence says where to find them."""
    with pytest.raises(UnknownVendorError, match="GET /vendors"):
        Catalog().load("qqqqqq")


def test_a_file_whose_name_is_no_slug_is_not_passed_over(tmp_path: Path) -> None:
    """A misnamed profile is reported, since nobody could ever ask for it."""
    (tmp_path / "Click-Time.toml").touch()
    with pytest.raises(ValueError, match="Click-Time"):
        Catalog(tmp_path).slugs()


def test_a_broken_file_stops_its_own_vendor_only(tmp_path: Path) -> None:
    """One vendor's broken profile leaves the others in order."""
    (tmp_path / "inkwell.toml").write_bytes(b"name = \n")
    (tmp_path / "paperweight.toml").write_bytes(samples.toml(samples.OIDC))
    catalog = Catalog(tmp_path)
    with pytest.raises(ProfileError, match="inkwell"):
        catalog.load("inkwell")
    assert catalog.load("paperweight").name == "Paperweight"
