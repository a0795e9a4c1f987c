"""URLs of files, and the redirects that they lead to."""

from __future__ import annotations

import logging

import pytest

from comfybridge.files.fetch import Allowance
from tests.files.site import (
    MOST,
    Site,
    fetcher,
    page,
    redirect,
    refusal,
)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://me:secret@host/a", "http and https only"),
        ("gopher://host:70/secret", "http and https only"),
        ("http://", "host or port is invalid"),
        ("http:///secret", "host or port is invalid"),
        ("http://me:secret@host:99999/", "host or port is invalid"),
        ("http://host:port/secret", "host or port is invalid"),
        ("http://[::1/secret", "host or port is invalid"),
        ("http://a..b/secret", "host or port is invalid"),
        ("http://ho st/secret", "a space"),
        ("http://host/\r\nSecret: secret", "a space"),
        ("http://8.8.8.8\\@127.0.0.1/secret", "a backslash"),
        ("http://a%00b/secret", "host or port is invalid"),
        ("http://" + "a" * 300 + "/secret", "host or port is invalid"),
        ("http://" + "a." * 150 + "/secret", "host or port is invalid"),
        ("http://host/secret" + "x" * 9000, "more than 8000 characters"),
        ("http://me:\ud800secret@8.8.8.8/", "half of a character"),
    ],
)
def test_urls_that_cannot_be_used(url: str, said: str) -> None:
    message = refusal(url)
    assert said in message
    assert "secret" not in message.lower()


def test_credentials_and_query_are_sent_and_never_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.pages["/a%20b"] = page(b"data")
    site.pages["/away"] = redirect("/no")
    site.pages["/no"] = page(b"", status=404)
    place = f"me:se%40cret@127.0.0.1:{site.port}"
    assert fetcher().fetch(f"http://{place}/a%20b?token=hidden#x", Allowance(MOST)) == b"data"
    (asked,) = site.asked
    assert asked.headers["Authorization"] == "Basic bWU6c2VAY3JldA=="
    assert asked.path == "/a%20b?token=hidden"
    assert refusal(f"http://{place}/away?token=hidden") == "127.0.0.1 answered 404 instead of the file."
    assert site.asked[-1].headers["Authorization"] is None
    assert not any(word in caplog.text for word in ("cret", "hidden", "bWU6"))


def test_other_letters_are_escaped(site: Site) -> None:
    site.pages["/k%C3%A4tze.png"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/kätze.png?q=ü", Allowance(MOST)) == b"data"
    assert site.asked[0].path == "/k%C3%A4tze.png?q=%C3%BC"


def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    site.pages["/"] = page(b"data")
    assert fetcher().fetch(site.url, Allowance(MOST)) == b"data"


# -- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site: Site, status: int) -> None:
    site.pages["/a/b"] = redirect("../c?d=1", status)
    site.pages["/c"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/a/b", Allowance(MOST)) == b"data"


def test_a_redirect_to_an_address_that_is_not_public_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/"] = redirect(f"http://127.0.0.1:{site.port}/inner?token=hidden")
    site.pages["/inner"] = page(b"secret")
    by = fetcher(allowed=["localhost"])
    message = refusal(f"http://localhost:{site.port}/", by)
    assert message.startswith("127.0.0.1 is not a public host")
    assert "hidden" not in message
    assert [each.path for each in site.asked] == ["/"]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("file:///etc/passwd", "http and https only"),
        ("ftp://127.0.0.1/", "http and https only"),
        ("http://[", "not a URL"),
        ("", "a redirect without a target"),
    ],
)
def test_a_redirect_to_what_is_no_web_address(site: Site, location: str, said: str) -> None:
    site.pages["/"] = redirect(location)
    assert said in refusal(site.url)


def test_five_redirects_are_followed_and_no_more(site: Site) -> None:
    for number in range(6):
        site.pages[f"/{number}"] = redirect(f"/{number + 1}")
    site.pages["/6"] = page(b"data")
    assert fetcher().fetch(f"{site.url}/1", Allowance(MOST)) == b"data"
    assert "more than 5 times" in refusal(f"{site.url}/0")
    assert site.asked[-1].path == "/5"
