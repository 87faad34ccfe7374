"""Spans without what identifies people: requests are cleaned as bytes, most attributes of which are never read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from unquiet.conventions.privacy import Cleaner, Walk, without_unknown
from unquiet.conventions.raw_attributes import RawTraceRequest


def clean_spans(raw: bytes, cleaner: Cleaner) -> bytes:
    """A serialised ExportTraceServiceRequest, checked before, cleaned; the same object where nothing changes."""
    walk = Walk.begin(raw, cleaner)
    if not walk.needed:
        return raw
    request, spans = RawTraceRequest.FromString(raw), _Spans(walk)
    changed, number = False, 0
    for part in request.resource_spans:
        changed |= spans.read(part.resource, Resource, lambda resource: walk.attributes(resource.attributes))
        for scoped in part.scope_spans:
            changed |= spans.read(scoped.scope, InstrumentationScope, walk.scope)
            for span in scoped.spans:
                changed |= walk.at(number, span, spans.span)
                number += 1
    if walk.dirty:
        changed = without_unknown(request, changed)
    return request.SerializeToString() if changed else raw


@dataclass(slots=True)
class _Spans:
    """Cleans the spans of one request. `made` are attributes that tell users, by what they were."""

    walk: Walk
    made: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])

    def read(self, part: Any, kind: type[Any], clean: Callable[[Any], bool]) -> bool:
        """Clean a part that is read as a message of opentelemetry-proto; whether it changed."""
        if not part.ByteSize():
            return False
        whole = kind.FromString(part.SerializeToString())
        changed = clean(whole)
        if self.walk.dirty:
            changed = without_unknown(whole, changed)
        if changed:
            part.ParseFromString(whole.SerializeToString())
        return changed

    def span(self, span: Any) -> bool:
        """Clean a span: all of it, or only what tells users."""
        walk = self.walk
        if walk.dirty or not walk.cleaner.content:
            return self.read(span, Span, walk.span)
        changed = self._users(span.attributes)
        if span.events or span.links:
            for holder in (*span.events, *span.links):
                changed |= self._users(holder.attributes)
        return changed

    def _users(self, attributes: Any) -> bool:
        """Clean those attributes that tell users."""
        lengths, changed = self.walk.cleaner.lengths, False
        listed = list(attributes)
        for place in [i for i, raw in enumerate(listed) if raw and lengths[raw[: raw[1] + 5]] != len(raw)]:
            raw = listed[place]
            made = self.made.get(raw)
            if made is None:
                made = self.made[raw] = self._hidden(raw)
            if made is not raw:
                attributes[place] = made
                changed |= made != raw
        return changed

    def _hidden(self, raw: bytes) -> bytes:
        """An attribute, its user hidden; the same object where it tells none."""
        cleaner, pair = self.walk.cleaner, KeyValue.FromString(raw)
        if cleaner.told[pair.key] and self.walk.tells(pair.value, cleaner.kinds[pair.key]):
            return pair.SerializeToString()
        return raw
