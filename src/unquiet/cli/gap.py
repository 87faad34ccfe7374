"""The commands that put evals, voices and dashboards beside what unquiet saw."""

from __future__ import annotations

from unquiet.cli.coverage import coverage_command
from unquiet.cli.evals import evals_command
from unquiet.cli.exporting import export_evals_command
from unquiet.cli.gap_page import gap_command
from unquiet.cli.marking import changes_command
from unquiet.cli.report_page import report_command
from unquiet.cli.voices import voices_command
from unquiet.cli.why_green import why_green_command

GAP_COMMANDS = (
    evals_command,
    voices_command,
    why_green_command,
    coverage_command,
    gap_command,
    report_command,
    export_evals_command,
    changes_command,
)
