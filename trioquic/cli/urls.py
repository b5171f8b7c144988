"""URLs that can be fetched, and what ends a download that has another one."""

from urllib.parse import urlsplit

from ..http3.url import Target, joined, parse_url
from . import failures
from .failures import FetchError


def target_of(url: str) -> Target:
    """Where the user wants to go. Raises `FetchError`."""
    try:
        return parse_url(url)
    except ValueError as error:
        raise FetchError(failures.BAD_URL, str(error)) from None


def redirected(url: str, location: bytes) -> Target:
    """Where a Location field leads from a URL. Raises `FetchError`."""
    code = failures.BAD_URL
    try:
        where = joined(url, location)
        if urlsplit(where).scheme != "https":
            code = failures.REDIRECTS
        return parse_url(where)
    except ValueError as error:
        raise FetchError(code, f"redirected to what cannot be fetched: {error}") from None


def is_https(url: str) -> bool:
    """Whether this is meant as an https URL, whether or not it makes sense."""
    return url.partition(":")[0].lower() == "https"
