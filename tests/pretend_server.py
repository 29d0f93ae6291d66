"""A server on loopback that speaks OpenAI's protocol as well, or as badly, as a test wants.

What it says depends on nothing but the request, so that the same ask gets the same answer. Faults are played in turn,
one per request, before it goes back to being honest.
"""

import base64
import io
import json
import math
import re
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

TOKENS = {
    "yes": -0.5,
    " Yes": -2.0,
    "no": -1.5,
    "1": -1.7,
    "2": -2.5,
    "12": -3.0,
    "A": -2.2,
    "maybe": -2.9,
    "the": -4.0,
}


def convolutional(width, height, *, own_size):
    """The tokens of a picture to a tower with stride 32: scaled to 96 by 96 pixels, or at its own size."""
    return (width // 32) * (height // 32) if own_size else 9


class PretendServer:
    """Abilities are attributes: `top` log-probabilities per place, `exact` ones of named tokens, `schemas`, and the
    fields that it `refuses` with status 400; `sees` counts the tokens of a picture. `requests` holds what it was
    asked: path, headers, body.
    """

    def __init__(self, *, top=20, exact=False, schemas=True, refuses=(), tokens=TOKENS, text="yes, it does"):
        self.top, self.exact, self.schemas, self.refuses = top, exact, schemas, tuple(refuses)
        self.tokens, self.text = dict(tokens), text
        self.finish, self.message = "stop", {}
        self.sees = convolutional
        self.faults = deque()
        self.requests = []
        self.under_way = self.most_under_way = 0
        self.together = None  # a barrier: so many requests are answered at once, or none
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *words):
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *request):
                """A client that went away is part of many a test."""

        self._httpd = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._httpd.server_address[1]}/v1"

    @property
    def address(self):
        return f"tiny@{self.url}"

    @property
    def chats(self):
        """The bodies of the requests for an answer."""
        return [body for path, _, body in self.requests if path.endswith("/chat/completions")]

    def close(self):
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def serve(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            self.requests.append((handler.path, dict(handler.headers), body))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            fault = self.faults.popleft() if self.faults else None
        try:
            if fault is not None:
                fault(handler)
                return
            if self.together is not None:
                self.together.wait(20)
            status, answer = self.answer(handler.path, body)
            send(handler, status, json.dumps(answer).encode())
        finally:
            with self._lock:
                self.under_way -= 1

    def answer(self, path, body):
        bad = [field for field in self.refuses if field in body]
        if bad:
            return 400, {"error": {"message": f"unknown field: {bad[0]}"}}
        if path == "/tokenize" and self.exact:
            return 200, {"count": self.count(body)} if "messages" in body else {"tokens": self.numbers(body["prompt"])}
        if path != "/v1/chat/completions":
            return 404, {"detail": "Not Found"}
        return 200, self.chat(body)

    def numbers(self, words):
        """The longest known tokens, from the left; other letters are tokens of their own."""
        known, found = sorted(self.tokens, key=len, reverse=True), []
        while words:
            token = next((known for known in known if words.startswith(known)), words[0])
            found.append(list(self.tokens).index(token) if token in self.tokens else 1000 + ord(token))
            words = words[len(token) :]
        return found

    def count(self, body):
        own_size = body.get("mm_processor_kwargs", {}).get("do_resize") is False
        return 7 + sum(self.sees(*picture.size, own_size=own_size) for picture in pictures(body))

    def chat(self, body):
        text = self.text
        if self.schemas and "response_format" in body:
            text = json.dumps({"ok": True})
        most = body.get("max_tokens") or body["max_completion_tokens"]
        words = re.findall(r"\S+\s*", text)
        finish = self.finish if len(words) <= most or most > 1 else "length"
        choice = {
            "index": 0,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": text, **self.message},
        }
        choice["logprobs"] = {"content": [self.place(body)]} if body.get("logprobs") and self.top else None
        return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 40, "total_tokens": 41}}

    def place(self, body):
        best = max(self.tokens, key=self.tokens.get)
        if self.exact and "logprob_token_ids" in body:
            named, every = list(self.tokens), [self.numbers(best)[0], *body["logprob_token_ids"]]
            top = [
                {"token": f"token_id:{n}", "logprob": self.tokens[named[n]] if n < len(named) else -9.0} for n in every
            ]
        else:
            most = min(self.top, body.get("top_logprobs", 0))
            likeliest = sorted(self.tokens, key=self.tokens.get, reverse=True)[:most]
            top = [{"token": token, "logprob": self.tokens[token]} for token in likeliest]
        return {**(top[0] if top else {"token": best, "logprob": self.tokens[best]}), "top_logprobs": top}


def pictures(body):
    """Those of a request, opened."""
    content = body["messages"][0]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]


def send(handler, status, data, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def refuse(status, body=b'{"error": {"message": "out of order"}}', **headers):
    """A fault: this status."""
    return lambda handler: send(handler, status, body, **headers)


def say(data):
    """A fault: status 200, and these bytes."""
    return lambda handler: send(handler, 200, data)


def drop(handler):
    """A fault: the connection ends without a word."""
    handler.close_connection = True
    handler.connection.close()


def half(handler):
    """A fault: the connection ends in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("content-length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"message": {"content": "half an ans')
    drop(handler)


def hang(seconds):
    """A fault: nothing for so long, then the connection ends."""

    def wait(handler):
        time.sleep(seconds)
        drop(handler)

    return wait


def drip(seconds):
    """A fault: an answer that comes byte after byte, and never ends within this time."""

    def wait(handler):
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        for _ in range(math.ceil(seconds / 0.02)):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
        drop(handler)

    return wait
