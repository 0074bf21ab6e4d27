"""`/api/audit`: the audit trail, for auditors alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from gis_core import audit
from gis_core.access import require
from web_map.asking import Asker, TheCity

router = APIRouter(tags=["audit"])


@router.get("/api/audit")
def entries(
    city: TheCity,
    viewer: Asker,
    before: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """The newest entries first; `next` is the `before` of the next page, null on the last."""
    require(viewer, "audit.view", "read the audit trail")
    city.trail.flush(1)
    found = audit.read(city.database, before=before, limit=limit)
    city.trail.record(viewer, "read", "/api/audit", allowed=True)
    return {
        "entries": [{"id": id_, **vars(entry), "at": entry.at.isoformat()} for id_, entry in found],
        "next": found[-1][0] if len(found) == limit else None,
    }


@router.get("/api/audit/verification")
def verification(
    city: TheCity, viewer: Asker, head: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None
) -> dict[str, Any]:
    """Whether every entry is as it was written. Keep `head` elsewhere and give it here again: a cut end shows too."""
    require(viewer, "audit.view", "verify the audit trail")
    verdict = audit.verify(city.database, bytes.fromhex(head) if head else None)
    return {
        "whole": verdict.whole,
        "rows": verdict.rows,
        "head": verdict.head.hex(),
        "broken_at": verdict.broken_at,
        "why": verdict.why,
    }
