"""A response that is all there."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from ..errors import StatusError
from ..fields import Headers, ResponseHead

_CHARSET: Final = re.compile(r';[ \t]*charset="?([A-Za-z0-9._:+-]+)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteResponse(ResponseHead):
    """What `Client.request` and its like return: head and content."""

    url: str
    """What was asked for, without user and fragment; after redirects, the last URL."""
    content: bytes
    trailers: Headers = ()

    @property
    def text(self) -> str:
        """The content as text: of the charset that its Content-Type names, or UTF-8. What is none
        becomes U+FFFD."""
        found = _CHARSET.search(self.header("content-type") or "")
        try:
            return self.content.decode(found[1] if found else "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """What the content says in JSON (RFC 8259). Raises ValueError for what is none."""
        return json.loads(self.content)

    def raise_for_status(self) -> "CompleteResponse":
        """This response, if its status says success (2xx); raises `StatusError` if not."""
        if not 200 <= self.status < 300:
            raise StatusError(self.status, self.url)
        return self
