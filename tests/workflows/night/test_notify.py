"""The webhook, against a real server on this machine."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plate_assets.workflows.night.notify import NotifyError, post_to_webhook

SECRET = "T0k3n-that-nobody-may-see"


@pytest.fixture
def webhook() -> Iterator[Callable]:
    """Starts a server that answers with the given codes in turn; gives its address and what it was sent."""
    servers = []

    def started(*codes: int, delay_s: float = 0.0) -> tuple[str, list]:
        received: list = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, self.headers["Content-Type"], json.loads(body)))
                time.sleep(delay_s)
                self.send_response(codes[min(len(received), len(codes)) - 1])
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/{SECRET}", received

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_text_arrives_as_json_with_its_fields(webhook):
    url, received = webhook(200)
    post_to_webhook(url, "2 conditions called – µm", {"called": 2})
    assert received == [(f"/{SECRET}", "application/json", {"text": "2 conditions called – µm", "called": 2})]


def test_a_server_that_fails_is_tried_three_times_and_one_that_recovers_is_told(webhook):
    url, received = webhook(503, 429, 204)
    post_to_webhook(url, "x", pause_s=0.01)
    assert len(received) == 3
    url, received = webhook(500)
    with pytest.raises(NotifyError, match="answered 500"):
        post_to_webhook(url, "x", pause_s=0.01)
    assert len(received) == 3


def test_a_refusal_is_final(webhook):
    url, received = webhook(404)
    with pytest.raises(NotifyError, match="answered 404; check its address in the settings"):
        post_to_webhook(url, "x", pause_s=0.01)
    assert len(received) == 1


def test_a_redirect_is_not_followed(webhook):
    url, received = webhook(307, 200)
    with pytest.raises(NotifyError, match="answered 307"):
        post_to_webhook(url, "x", pause_s=0.01)
    assert [path for path, _, _ in received] == [f"/{SECRET}"]


def test_a_server_that_is_too_slow_is_given_up(webhook):
    url, _ = webhook(200, delay_s=1.0)
    start = time.monotonic()
    with pytest.raises(NotifyError, match="no answer|no connection"):
        post_to_webhook(url, "x", timeout_s=0.1, pause_s=0.01)
    assert time.monotonic() - start < 0.9


@pytest.mark.parametrize("url", [f"file:///etc/{SECRET}", f"ftp://x/{SECRET}", SECRET, "http://", ""])
def test_only_http_addresses_are_posted_to(url):
    with pytest.raises(NotifyError, match="must begin with http"):
        post_to_webhook(url, "x")


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:9/{SECRET}", f"http://{SECRET}.invalid/", f"http://127.0.0.1:9/{SECRET} with space"]
)
def test_the_address_is_in_no_message_no_cause_and_no_log(url, caplog, capfd):
    with caplog.at_level(logging.DEBUG), pytest.raises(NotifyError) as caught:
        post_to_webhook(url, "x", timeout_s=2, pause_s=0.01)
    out, err = capfd.readouterr()
    assert SECRET not in str(caught.value) + caplog.text + out + err
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
