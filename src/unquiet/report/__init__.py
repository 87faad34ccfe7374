"""Post-mortems of incidents and reports of drills: facts become sections, these Markdown or one HTML file. Without any I/O."""

from unquiet.report.drills import drill_sections, drill_title
from unquiet.report.facts import Facts
from unquiet.report.rendering import to_html, to_markdown
from unquiet.report.sections import headline, report_sections

__all__ = ["Facts", "drill_sections", "drill_title", "headline", "report_sections", "to_html", "to_markdown"]
