"""A secret has no form in which it could get out by accident."""

import copy
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest
from pydantic import TypeAdapter

from sso.model import Secret

VALUE = "canary-Xq8~secret"


@dataclass(frozen=True)
class Holder:
    """Something that holds a secret, as a letter does."""

    secret: Secret


@pytest.mark.parametrize(
    "write",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        lambda secret: f"{secret}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # logging formats like this
        lambda secret: repr([Holder(secret), {"secret": secret}]),
        pprint.pformat,
        lambda secret: repr(vars(type(secret))),
    ],
)
def test_secret_prints_as_nothing_but_its_kind(write: Callable[[Secret], str]) -> None:
    """However it is formatted, alone or inside something else, the value is not in the text."""
    assert VALUE not in write(Secret(VALUE))


@pytest.mark.parametrize(
    "write",
    [
        pickle.dumps,
        json.dumps,
        copy.copy,
        copy.deepcopy,
        lambda secret: asdict(Holder(secret)),
        TypeAdapter[object](object).dump_json,
        lambda secret: secret == secret,  # noqa: PLR0124  # that it compares with nothing is the point
        lambda secret: secret != Secret(VALUE),
        lambda secret: secret == VALUE,
        [VALUE].index,
        hash,
        lambda secret: {secret},
        vars,
        iter,
        len,
        bytes,
    ],
)
def test_secret_is_not_copied_serialised_or_compared(write: Callable[[object], object]) -> None:
    """Whatever would store, copy or compare it fails, and the failure does not tell the value."""
    with pytest.raises((TypeError, ValueError, AttributeError)) as failed:  # pydantic's is a ValueError
        write(Secret(VALUE))
    assert VALUE not in "".join(traceback.format_exception(failed.value))


def test_secret_leaves_no_trace_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """A log line that was given a secret, and an exception beside it, hold the word <secret> only."""
    secret = Secret(VALUE)
    failure = RuntimeError(secret)
    logging.getLogger("test").error("with %s and %r", secret, [secret], exc_info=failure)
    assert "<secret>" in caplog.text
    assert VALUE not in caplog.text


def test_only_reveal_opens_a_secret() -> None:
    """`reveal` is the one way to the value."""
    assert Secret(VALUE).reveal() == VALUE
    assert not hasattr(Secret(VALUE), "__dict__")
