"""Telling the lab: a short text posted to a webhook.

Belongs here: the post, its time limit and its tries. Not here: what the text says (`pages.morning`), when it is sent.
The address is a secret (whoever has it can post): it appears in no message and no log, not even in part.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

TRIES = 3


class NotifyError(RuntimeError):
    """The webhook was not reached, or refused; the message says why and what to do, never the address."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would hand the text to an address that nobody set: it counts as a refusal."""

    def redirect_request(self, *_args: object, **_named: object) -> None:
        return None


def post_to_webhook(
    url: str, text: str, fields: Mapping[str, object] | None = None, *, timeout_s: float = 10.0, pause_s: float = 1.0
) -> None:
    """Post `{"text": text, **fields}` as JSON. Three tries where the network or the server fails; a refusal (4xx) is final.

    pause_s: wait before the second try, doubled before the third.
    Raises NotifyError; the caller decides whether that matters.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise NotifyError(
            "the webhook's address must begin with http:// or https:// and name a host: correct it in the settings"
        )
    body = json.dumps({**(fields or {}), "text": text}).encode()
    opener = urllib.request.build_opener(_NoRedirect)
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")
        try:
            with opener.open(request, timeout=timeout_s):
                return
        except urllib.error.HTTPError as error:
            reason = f"the server answered {error.code}"
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                break
        except urllib.error.URLError as error:
            reason = f"no connection ({type(error.reason).__name__})"
        except (
            OSError,
            ValueError,
            http.client.HTTPException,
        ) as error:  # a broken answer, or an address that urllib cannot use
            reason = f"no answer ({type(error).__name__})"
    # `from None`: the causes carry the address
    raise NotifyError(
        f"the webhook was not told: {reason}; check its address in the settings and that this machine reaches it"
    ) from None
