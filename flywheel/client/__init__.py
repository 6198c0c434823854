"""Typed client of the API: methods by noun that return models of flywheel.wire.

    with Client("http://127.0.0.1:8400", key) as client:
        client.submit("books", Path("a.pdf"), language="bo")
        for summary in client.follow_corpus("books"):     # until no page is pending
            print(summary.pages.pending)
        for page in client.pages("books", verdict="rejected"):
            print(page.document, page.number, page.reason)

Raises ApiError for what the server refuses (its `code` is stable), with status 0 when
no server answers. What may be sent twice without harm is retried with growing pauses
while the server cannot be reached or answers 503: every GET, and submissions, which
are told apart by their bytes. Files are streamed both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from flywheel import wire
from flywheel.client.connection import ApiConnection, OnBytes, follow, ignore_bytes, parse
from flywheel.document import Label, decode_label, encode
from flywheel.encoding import JsonValue
from flywheel.errors import BlobCorrupt
from flywheel.states import ENDED_REQUESTS, ENDED_ROUNDS

__all__ = ["Client", "follow"]


class Client:
    """Client of one server, over a pool of connections. Threads may share it until it is closed."""

    def __init__(
        self, url: str, key: str, *, timeout: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = ApiConnection(self.url, key, timeout, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def health(self) -> wire.Health:
        return self._http.get("/healthz", wire.Health)

    # Corpora and documents

    def corpora(self) -> list[wire.Corpus]:
        return self._http.listed("/v1/corpora", wire.Corpus)

    def summary(self, corpus: str) -> wire.Summary:
        return self._http.get(f"/v1/corpora/{_part(corpus)}", wire.Summary)

    def follow_corpus(self, corpus: str) -> Iterator[wire.Summary]:
        """Yield the corpus's summary again and again, the last one settled."""
        return follow(lambda: self.summary(corpus), lambda summary: summary.settled)

    def audit(self, corpus: str, limit: int = 200) -> wire.Audit:
        return self._http.get(f"/v1/corpora/{_part(corpus)}/audit", wire.Audit, limit=limit)

    def submit(
        self,
        corpus: str,
        path: Path,
        *,
        language: str | None = None,
        rights: str | None = None,
        name: str | None = None,
        on_bytes: OnBytes = ignore_bytes,
    ) -> wire.Upload:
        """Send one file or ZIP; sending it again is harmless. Raises OSError when it cannot be read.

        `rights`: the documents' licence or owner, which exports carry.
        """
        params = {"name": name or path.name, "language": language, "rights": rights}
        url = f"/v1/corpora/{_part(corpus)}/documents"
        return parse(self._http.send_file(url, path, params, on_bytes), wire.Upload)

    def documents(self, corpus: str, *, state: str | None = None) -> Iterator[wire.Document]:
        url = f"/v1/corpora/{_part(corpus)}/documents"
        return self._http.listing(url, wire.Documents, {"state": state})

    def document(self, document_id: int) -> wire.Document:
        return self._http.get(f"/v1/documents/{document_id}", wire.Document)

    # Pages and labels

    def pages(
        self,
        corpus: str,
        *,
        state: str | None = None,
        verdict: str | None = None,
        reason: str | None = None,
        document: int | None = None,
        batch: int = 500,
    ) -> Iterator[wire.Page]:
        """Yield every page that fits the filters, fetched `batch` at a time."""
        filters = {"state": state, "verdict": verdict, "reason": reason, "document": document, "limit": batch}
        return self._http.listing(f"/v1/corpora/{_part(corpus)}/pages", wire.Pages, filters)

    def page(self, page_id: int) -> wire.PageDetail:
        return self._http.get(f"/v1/pages/{page_id}", wire.PageDetail)

    def page_label(self, page_id: int) -> Label:
        """Current label of a page. Raises ApiError 404 while there is none."""
        return decode_label(self._http.request("GET", f"/v1/pages/{page_id}/label").json())

    def label(self, label_id: int) -> Label:
        return decode_label(self._http.request("GET", f"/v1/labels/{label_id}").json())

    def page_image(
        self,
        page_id: int,
        *,
        dpi: float = 110,
        annotated: bool = False,
        label: int | None = None,
        format: str = "png",
    ) -> bytes:
        """Encoded picture of a page; `annotated` draws the label (default: the current one) on it."""
        params = {"dpi": dpi, "annotated": annotated, "label": label, "format": format}
        return self._http.request("GET", f"/v1/pages/{page_id}/image", params=params).content

    def correct(self, page_id: int, label: Label, note: str = "") -> wire.ReviewResult:
        body = {"label": encode(label), "note": note}
        return self._http.post(f"/v1/pages/{page_id}/labels", wire.ReviewResult, body)

    def accept(self, page_id: int, note: str = "") -> wire.ReviewResult:
        return self._http.post(f"/v1/pages/{page_id}/accept", wire.ReviewResult, {"note": note})

    def reject(self, page_id: int, note: str = "") -> wire.ReviewResult:
        return self._http.post(f"/v1/pages/{page_id}/reject", wire.ReviewResult, {"note": note})

    # Work

    def queues(self) -> list[wire.QueueInfo]:
        return self._http.listed("/v1/queues", wire.QueueInfo)

    def workers(self) -> list[wire.Worker]:
        """Worker processes seen lately."""
        return self._http.listed("/v1/workers", wire.Worker)

    # Rounds, checkpoints, promotions

    def start_round(
        self,
        language: str,
        corpora: Sequence[str] = (),
        *,
        recipe: str = "line",
        overrides: Mapping[str, JsonValue] | None = None,
    ) -> wire.RoundDetail:
        return self._ask_round("/v1/rounds", language, corpora, recipe, overrides)

    def plan_round(
        self,
        language: str,
        corpora: Sequence[str] = (),
        *,
        recipe: str = "line",
        overrides: Mapping[str, JsonValue] | None = None,
    ) -> wire.RoundDetail:
        """Have a round planned without starting it; follow it until it is planned."""
        return self._ask_round("/v1/rounds/plan", language, corpora, recipe, overrides)

    def _ask_round(
        self,
        path: str,
        language: str,
        corpora: Sequence[str],
        recipe: str,
        overrides: Mapping[str, JsonValue] | None,
    ) -> wire.RoundDetail:
        body = {
            "language": language,
            "corpora": list(corpora),
            "recipe": recipe,
            "overrides": dict(overrides or {}),
        }
        return self._http.post(path, wire.RoundDetail, body)

    def rounds(self, *, language: str | None = None, status: str | None = None) -> list[wire.Round]:
        return self._http.listed("/v1/rounds", wire.Round, language=language, status=status)

    def round(self, round_id: int) -> wire.RoundDetail:
        return self._http.get(f"/v1/rounds/{round_id}", wire.RoundDetail)

    def follow_round(self, round_id: int) -> Iterator[wire.RoundDetail]:
        """Yield the round again and again, the last one ended."""
        return follow(lambda: self.round(round_id), lambda found: found.status in ENDED_ROUNDS)

    def cancel_round(self, round_id: int) -> wire.RoundDetail:
        return self._http.post(f"/v1/rounds/{round_id}/cancel", wire.RoundDetail, {})

    def checkpoints(self, *, language: str | None = None) -> list[wire.Checkpoint]:
        return self._http.listed("/v1/checkpoints", wire.Checkpoint, language=language)

    def checkpoint(self, checkpoint_id: str) -> wire.Checkpoint:
        return self._http.get(f"/v1/checkpoints/{_part(checkpoint_id)}", wire.Checkpoint)

    def promotions(self, *, language: str | None = None) -> list[wire.PromotionInfo]:
        return self._http.listed("/v1/promotions", wire.PromotionInfo, language=language)

    def champions(self) -> list[wire.Champion]:
        return self._http.listed("/v1/promotions/champions", wire.Champion)

    def promote(self, checkpoint_id: str, *, language: str | None = None, detail: str = "") -> wire.PromotionInfo:
        body = {"checkpoint_id": checkpoint_id, "language": language, "detail": detail}
        return self._http.post("/v1/promotions", wire.PromotionInfo, body)

    def rollback(self, language: str) -> wire.PromotionInfo:
        return self._http.post("/v1/promotions/rollback", wire.PromotionInfo, {"language": language})

    # Exports and trials

    def start_export(self, corpus: str, format: str) -> wire.Export:
        return self._http.post("/v1/exports", wire.Export, {"corpus": corpus, "format": format})

    def export(self, export_id: int) -> wire.Export:
        return self._http.get(f"/v1/exports/{export_id}", wire.Export)

    def exports(self, *, corpus: str | None = None) -> list[wire.Export]:
        return self._http.listed("/v1/exports", wire.Export, corpus=corpus)

    def follow_export(self, export_id: int) -> Iterator[wire.Export]:
        """Yield the export again and again, the last one finished or failed."""
        return follow(lambda: self.export(export_id), lambda found: found.status in ENDED_REQUESTS)

    def download_export_file(
        self, export_id: int, file: wire.ExportFile, target: Path, on_bytes: OnBytes = ignore_bytes
    ) -> None:
        """Write one file to `target`, whole and with the sha256 it should have, or not at all.

        Raises BlobCorrupt after a second download that does not hash right.
        """
        url = f"/v1/exports/{export_id}/files/{quote(file.path)}"
        partial = target.with_name(f".{target.name}.partial")
        for _ in range(2):
            digest = self._http.download(url, partial, on_bytes)
            if digest == file.sha256:
                partial.replace(target)
                return
        partial.unlink()
        raise BlobCorrupt(f"{file.path}: the download hashes to {digest}, not to {file.sha256}")

    def start_trial(
        self,
        path: Path,
        *,
        language: str | None = None,
        checkpoint: str | None = None,
        mode: str | None = None,
        truth: str | None = None,
        on_bytes: OnBytes = ignore_bytes,
    ) -> wire.Trial:
        """Start the reading of one file; with its true text it is also scored. `mode` is a page reader's."""
        params = {"name": path.name, "language": language, "checkpoint": checkpoint, "mode": mode}
        if truth is None:
            return parse(self._http.send_file("/v1/trials", path, params, on_bytes), wire.Trial)
        with path.open("rb") as file:
            parts = {"file": (path.name, file, "application/octet-stream"), "truth": (None, truth.encode())}
            return parse(self._http.request("POST", "/v1/trials", params=params, files=parts), wire.Trial)

    def trial(self, trial_id: int) -> wire.Trial:
        return self._http.get(f"/v1/trials/{trial_id}", wire.Trial)

    def follow_trial(self, trial_id: int) -> Iterator[wire.Trial]:
        """Yield the trial again and again, the last one finished or failed."""
        return follow(lambda: self.trial(trial_id), lambda found: found.status in ENDED_REQUESTS)

    # Keys

    def create_key(self, name: str, scopes: Sequence[str], expires_at: datetime | None = None) -> wire.NewKey:
        expiry = expires_at.isoformat() if expires_at else None
        return self._http.post(
            "/v1/keys", wire.NewKey, {"name": name, "scopes": list(scopes), "expires_at": expiry}
        )

    def keys(self) -> list[wire.KeyInfo]:
        return self._http.listed("/v1/keys", wire.KeyInfo)

    def revoke_key(self, key_id: str) -> None:
        self._http.request("DELETE", f"/v1/keys/{_part(key_id)}", retry=True)


def _part(name: str) -> str:
    """Quote a name as one part of a URL."""
    return quote(name, safe="")
