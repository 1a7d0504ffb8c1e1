"""The server under test: the real binary on free ports, with a configuration of its own, stopped by its own process id."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

SECRET = "a secret of the end-to-end tests, 32 bytes and more"
API_KEY = "a key of the end-to-end tests"
START_SECONDS_MAX = 10
STOP_SECONDS_MAX = 40

OPEN = dict.fromkeys(
    ["allow_subscribe_for_client", "allow_publish_for_client", "allow_presence_for_client", "allow_history_for_client", "presence"],
    True,
)
LOG = {**OPEN, "history_size": 1000, "history_ttl": "300s", "force_recovery": True}

TABLES = {
    "[client]": {"ping_interval": "1s", "pong_timeout": "900ms"},
    # The library offers it by itself.
    "[websocket]": {"compression": True, "compression_min_size": 0, "compression_takeover": True},
    "[client.token]": {"hmac_secret_key": SECRET},
    "[http_api]": {"key": API_KEY},
    "[shutdown]": {"drain_window": "0s"},
    "[channel.without_namespace]": OPEN,
}
NAMESPACES = {
    "log": LOG,
    "short": {**LOG, "history_size": 5},
    "lobby": {**OPEN, "join_leave": True},
    "delta": {**LOG, "allowed_delta_types": ["fossil"], "delta_publish": True},
    "filtered": {**LOG, "allow_tags_filter": True},
    "quiet": {"allow_subscribe_for_client": True},
}


def configuration(more):
    """The file of these tests, with `more` tables. Strings, numbers, switches and lists of JSON are those of TOML."""
    tables = [*TABLES.items(), *more.items()]
    tables += [("[[channel.namespaces]]", {"name": name, **options}) for name, options in NAMESPACES.items()]
    lines = []
    for head, options in tables:
        lines.append(head)
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


class Server:
    def __init__(self, tls=None):
        """`tls`: the folder of a certificate, to speak TLS with."""
        more = {}
        if tls:
            more["[tls]"] = {
                "enabled": True,
                "cert_pem_file": os.path.join(tls, "cert.pem"),
                "key_pem_file": os.path.join(tls, "key.pem"),
            }
        self.folder = tempfile.mkdtemp(prefix="ringway-test-")
        with open(os.path.join(self.folder, "ringway.toml"), "w", encoding="utf-8") as file:
            file.write(configuration(more))
        ready = os.path.join(self.folder, "ready")
        self.process = subprocess.Popen(
            [os.environ["RINGWAY"], "serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0",
             "--ready-file", ready, "--config", "ringway.toml"],
            cwd=self.folder,
        )
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                with open(ready, encoding="utf-8") as file:
                    addresses = json.load(file)
                break
            except (OSError, ValueError):
                pass  # not written yet, or only in part
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError("the server did not start")
            time.sleep(0.02)
        self.public = addresses["public"]
        self.internal = addresses["internal"]
        self.websocket = f"{'wss' if tls else 'ws'}://{self.public}/connection/websocket"
        self.api = f"http://{self.internal}/api"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def token(claims, key=SECRET):
    """A token as an application makes it, signed with HS256."""
    def encode(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + encode(json.dumps(claims).encode())
    return (head + b"." + encode(hmac.new(key.encode(), head, hashlib.sha256).digest())).decode()


def connection_token(user, **claims):
    return token({"sub": user, "exp": int(time.time()) + 300, **claims})


def subscription_token(user, channel, **claims):
    return token({"sub": user, "channel": channel, "exp": int(time.time()) + 300, **claims})
