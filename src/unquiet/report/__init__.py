"""The post-mortem of an incident: facts become sections, sections become Markdown or one HTML file. Without any I/O."""

from unquiet.report.facts import Facts
from unquiet.report.rendering import to_html, to_markdown
from unquiet.report.sections import headline, report_sections

__all__ = ["Facts", "headline", "report_sections", "to_html", "to_markdown"]
