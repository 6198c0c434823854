"""API keys: made once, checked often, ended for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from flywheel import keys
from flywheel.database import engine, transaction
from flywheel.database.tables import ApiKeyRow
from flywheel.errors import NotFound
from flywheel.keys import KeyRefused, ScopeMissing
from flywheel.scopes import Scope

pytestmark = pytest.mark.usefixtures("environment")


def make(*scopes: str, expires_at: datetime | None = None) -> tuple[str, str]:
    with transaction() as session:
        return keys.create(session, "a test", scopes or ("read",), expires_at)


def check(plain: str) -> ApiKeyRow:
    with transaction() as session:
        return keys.verify(session, plain)


def test_a_key_opens_and_its_secret_is_not_in_the_table() -> None:
    key_id, plain = make("read", "submit")
    assert plain.startswith(f"fw_{key_id}_")
    assert len(plain.split("_", 2)[2]) >= 43  # 256 bits in base64
    row = check(plain)
    assert (row.id, row.scopes) == (key_id, ["read", "submit"])
    assert plain.split("_", 2)[2] not in f"{vars(row)}"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "fw",
        "fw__",
        "fw_abc",
        "xx_{id}_{secret}",
        "fw_{id}_",
        "fw_{id}_{secret}x",
        "fw_0_{secret}",
        "fw_{id}_\u0f40",
    ],
)
def test_anything_else_is_refused_without_saying_why(wrong: str) -> None:
    key_id, plain = make()
    with pytest.raises(KeyRefused, match=r"^no such API key$"):
        check(wrong.format(id=key_id, secret=plain.split("_", 2)[2]))


def test_a_key_ends_when_it_expires() -> None:
    _, plain = make(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(KeyRefused):
        check(plain)
    _, later = make(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert check(later).expires_at is not None


def test_a_revoked_key_is_refused_though_it_was_good_a_moment_ago() -> None:
    key_id, plain = make()
    check(plain)
    for _ in range(2):
        with transaction() as session:
            keys.revoke(session, key_id)
        with pytest.raises(KeyRefused):
            check(plain)


def test_revoking_what_does_not_exist_is_an_error() -> None:
    with transaction() as session, pytest.raises(NotFound):
        keys.revoke(session, "000000000000")


def test_a_good_key_costs_no_second_query() -> None:
    _, plain = make()
    check(plain)
    asked: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda *args: asked.append(args[2]))
    check(plain)
    assert asked == []
    check(make()[1])
    assert any("api_keys" in statement for statement in asked)


def test_what_is_remembered_is_bounded() -> None:
    _, plain = make()
    row = check(plain)
    for number in range(keys.CACHE_KEYS + 10):
        keys._remember(f"fw_{number}_x", row, 1.0)
    assert len(keys._cache) == keys.CACHE_KEYS


@pytest.mark.parametrize("scope", Scope)
def test_admin_implies_every_scope_and_no_other_implies_any(scope: Scope) -> None:
    keys.require(check(make("admin")[1]), scope)
    others = [name for name in Scope if name not in (scope, Scope.ADMIN)]
    with pytest.raises(ScopeMissing, match=scope):
        keys.require(check(make(*others)[1]), scope)


@pytest.mark.parametrize("scopes", [(), ("reed",), ("read", "root")])
def test_unknown_scopes_are_refused_when_a_key_is_made(scopes: tuple[str, ...]) -> None:
    with transaction() as session, pytest.raises(ValueError, match="scopes are some of"):
        keys.create(session, "a test", scopes)


def test_the_embedded_stack_gets_a_key_for_everything(environment: dict[str, str]) -> None:
    plain = keys.create_embedded_key(environment["FLYWHEEL_DATABASE_URL"])
    assert check(plain).scopes == ["admin"]
