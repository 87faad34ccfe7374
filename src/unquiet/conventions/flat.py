"""Lists and objects that instrumentations flattened into attribute names: `prefix.0.name`, `prefix.name`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from unquiet.conventions.messages import from_json

INDEX_DEPTH = 32
"""Attribute names with more parts than this below a prefix are left out."""


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """A list that was flattened into attributes `prefix.0.name`, or that stands there whole.

    Order follows the indices; gaps are closed.
    """
    return grower(attributes, prefix)(attributes)


def grower(names: Iterable[str], prefix: str) -> Callable[[Mapping[str, Any]], list[Any]]:
    """`indexed` for attributes with these names, in this order."""
    start = prefix + "."
    tree: dict[str, Any] = {}
    for name in names:
        if name.startswith(start):
            path = name[len(start) :].split(".")
            if len(path) <= INDEX_DEPTH:
                _plant(tree, path, name)
    shape = _shape(tree) if tree and all(map(_is_index, tree)) else []

    def grow(attributes: Mapping[str, Any]) -> list[Any]:
        native = from_json(attributes.get(prefix))
        return native if isinstance(native, list) else [_grown(part, attributes) for part in shape]

    return grow


def _plant(tree: dict[str, Any], path: list[str], name: str) -> None:
    """Put the name of an attribute into a tree; what came first to a place stays there."""
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(path[-1], name)


def _is_index(part: str) -> bool:
    return part.isdecimal() and len(part) < 10


def _shape(tree: Any) -> Any:
    """A tree with lists where all keys of an object are indices."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(map(_is_index, tree)):
        return [_shape(tree[key]) for key in sorted(tree, key=int)]
    return {key: _shape(inner) for key, inner in tree.items()}


def _grown(shape: Any, attributes: Mapping[str, Any]) -> Any:
    """A shape with the values of the attributes that it names."""
    if isinstance(shape, str):
        value = attributes[shape]
        return _shape(value) if isinstance(value, dict) else value
    if isinstance(shape, list):
        return [_grown(part, attributes) for part in shape]
    return {key: _grown(part, attributes) for key, part in shape.items()}


def nested(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The attributes below a prefix, without it."""
    start = prefix + "."
    return {key[len(start) :]: value for key, value in attributes.items() if key.startswith(start)}
