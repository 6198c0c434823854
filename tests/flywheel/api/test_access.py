"""Access: keys, their scopes and their end."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.flywheel.api.sending import code
from tests.flywheel.files import a_png


def test_health_needs_no_key_and_everything_else_does(http: httpx.Client) -> None:
    del http.headers["Authorization"]
    assert http.get("/healthz").json()["status"] == "ok"
    paths = http.get("/openapi.json").json()["paths"]
    assert len(paths) > 20
    for path, methods in paths.items():
        for method in methods:
            if path.startswith("/v1"):
                assert code(http.request(method, path.replace("{", "").replace("}", "")))[0] in (401, 422), path


def test_a_wrong_key_is_401(http: httpx.Client, admin_key: str) -> None:
    for wrong in ("Bearer nonsense", f"Bearer {admin_key}x", "Basic YTpi", ""):
        response = http.get("/v1/corpora", headers={"Authorization": wrong})
        assert code(response) == (401, "invalid_key")
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], {"list"}),
        (["submit"], {"submit", "export"}),
        (["read", "review"], {"list", "review"}),
        (["train"], {"train"}),
        (["admin"], {"list", "submit", "export", "review", "train", "keys"}),
    ],
)
def test_a_key_may_do_what_its_scopes_say(http: httpx.Client, scopes: list[str], allowed: set[str]) -> None:
    key = http.post("/v1/keys", json={"name": "a test", "scopes": scopes}).json()["key"]
    mine = {"Authorization": f"Bearer {key}"}
    answers = {
        "list": http.get("/v1/corpora", headers=mine),
        "submit": http.post("/v1/trials", params={"name": "a.png"}, content=a_png(), headers=mine),
        "export": http.post("/v1/exports", json={"corpus": "none", "format": "jsonl"}, headers=mine),
        "review": http.post("/v1/pages/1/accept", json={}, headers=mine),
        "train": http.post("/v1/rounds", json={"language": "bo"}, headers=mine),
        "keys": http.get("/v1/keys", headers=mine),
    }
    assert {name for name, response in answers.items() if response.status_code != 403} == allowed
    refused = [code(response) for name, response in answers.items() if name not in allowed]
    assert all(answer == (403, "scope_missing") for answer in refused)


def test_a_revoked_key_is_out_at_once(http: httpx.Client) -> None:
    made = http.post("/v1/keys", json={"name": "a test", "scopes": ["read"]}).json()
    mine = {"Authorization": f"Bearer {made['key']}"}
    assert http.get("/v1/corpora", headers=mine).status_code == 200
    assert http.delete(f"/v1/keys/{made['id']}").status_code == 204
    assert code(http.get("/v1/corpora", headers=mine)) == (401, "invalid_key")
    listed = {key["id"]: key for key in http.get("/v1/keys").json()}
    assert listed[made["id"]]["revoked_at"]
    assert made["key"] not in json.dumps(listed)
    assert code(http.delete("/v1/keys/nobody")) == (404, "not_found")
