"""A server of the Hugging Face Hub's protocol, for its own client: repositories, commits, files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".parquet")
"""Endings of files that are uploaded apart from the commit, as the Hub asks for."""


class Hub:
    """Repositories in memory.

    Attributes:
        commits: By repository, its commits in order: each the content of its files by path.
        private: The repositories that were made as private ones.
        downloads: The files that were sent, by name.
    """

    def __init__(self) -> None:
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.downloads: list[str] = []
        self.objects: dict[str, bytes] = {}

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the hash and files of a commit, of the last one for ``main``; None for others."""
        commits = self.commits[name]
        for number, files in enumerate(commits):
            if revision == sha(number) or (revision == "main" and number == len(commits) - 1):
                return sha(number), files
        return None


def sha(number: int) -> str:
    """Return the hash of a repository's commit by its number."""
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


@contextmanager
def running(hub: Hub) -> Iterator[str]:
    """Run a server for a hub, and yield its address."""

    class Handler(_Handler):
        store = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    store: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        """Make a repository, say how files are uploaded, or commit them."""
        path, body = urlsplit(self.path).path, self._body()
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif found := re.fullmatch(r"/api/models/(.+)/(preupload|commit)/main", path):
            name, action = found.groups()
            if action == "preupload":
                files = [
                    {
                        "path": x["path"],
                        "uploadMode": "lfs" if x["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for x in json.loads(body)["files"]
                ]
                self._answer(200, {"files": files})
            else:
                self._commit(name, [json.loads(x) for x in body.splitlines()])
        else:
            self._answer(404, {"error": path})

    def do_PUT(self) -> None:
        """Take a large file."""
        content = self._body()
        self.store.objects[hashlib.sha256(content).hexdigest()] = content
        self._answer(200, {})

    def do_GET(self) -> None:
        """Send what is known of a repository, its list of files, or a file."""
        path = unquote(urlsplit(self.path).path)
        found = re.fullmatch(
            r"(?:/api/models/(?P<of>.+)/(?P<what>revision|tree)|/(?P<name>.+)/resolve)/(?P<rest>.+)",
            path,
        )
        name = found and (found["of"] or found["name"])
        if found is None or name not in self.store.commits:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        revision, _, file = found["rest"].partition("/")
        commit = self.store.files(name, revision)
        if commit is None:
            code = {"X-Error-Code": "RevisionNotFound"}
            self._answer(404, {"error": "Invalid rev id"}, code)
        elif found["what"] == "revision":
            files = [{"rfilename": x} for x in commit[1]]
            self._answer(200, {"id": name, "sha": commit[0], "siblings": files})
        elif found["what"] == "tree":
            self._answer(200, [_listed(x, y) for x, y in commit[1].items()])
        else:
            self._send_file(*commit, file)

    do_HEAD = do_GET  # noqa: N815 (the name that the base class asks for)

    def _create(self, asked: dict[str, Any]) -> None:
        name = "/".join(x for x in (asked.get("organization", "me"), asked["name"]) if x)
        about = {"url": f"http://{self.headers['Host']}/{name}", "name": name}
        if name in self.store.commits:
            self._answer(409, {**about, "error": "You already created this model repo"})
            return
        self.store.commits[name] = []
        if asked.get("private") or asked.get("visibility") == "private":
            self.store.private.add(name)
        self._answer(200, about)

    def _batch(self, asked: dict[str, Any]) -> None:
        place = f"http://{self.headers['Host']}/objects/"
        objects = [
            {**x, "actions": {"upload": {"href": place + x["oid"]}}} for x in asked["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        commits = self.store.commits[name]
        files = dict(commits[-1]) if commits else {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.store.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        commits.append(files)
        commit = {"commitUrl": f"http://{self.headers['Host']}/{name}/commit/x", "success": True}
        self._answer(200, {**commit, "commitOid": sha(len(commits) - 1)})

    def _send_file(self, commit: str, files: dict[str, bytes], name: str) -> None:
        if name not in files:
            self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(files[name]).hexdigest()
        if self.command == "GET":
            self.store.downloads.append(name)
        self._send(200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": commit})

    def _answer(self, status: int, found: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(found).encode()
        self._send(status, content, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


def _listed(path: str, content: bytes) -> dict[str, Any]:
    """Return a file of a list."""
    digest = hashlib.sha256(content).hexdigest()
    about = {"type": "file", "path": path, "size": len(content), "oid": digest[:40]}
    if not path.endswith(LARGE):
        return about
    return {**about, "lfs": {"oid": digest, "size": len(content), "pointerSize": 130}}
