"""A story to look at: two weeks of a made-up support agent's traffic with one quiet failure in it."""

from __future__ import annotations

from unquiet.demo.story import Story, write_story

__all__ = ["Story", "write_story"]
