"""The page docs/reference/configuration.md, written from the sections of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from unquiet.service.sections import SECTIONS, SEVERITIES, Alert, Key, keys_of

HEAD = """# Configuration

Written by `make docs` from the sections themselves.

`unquiet serve` reads one file, `unquiet.toml`, and the environment. A variable wins over the file, the file over the default; an
empty variable counts as not set. The file is the one that `--config` or `UNQUIET_CONFIG` names, else `unquiet.toml` in the current
folder, else there is none and the defaults hold. [An example](../unquiet.example.toml) shows every key.

* All mistakes are said at once, each with its key, what was got and what is allowed; the service does not start then.
* `unquiet serve --check` says what is in force and where it came from, and starts nothing.
* Relative paths in the file start at the file's folder, those in variables at the current one.
* The variable of a key is `UNQUIET_<SECTION>_<KEY>`: `UNQUIET_DETECTION_BUDGET=0.5`, `UNQUIET_DOORS_GRPC=false`. Lists are written
  with commas. Tables come from the file only.

## Secrets

A secret does not stand in the file. The file names where it is:

```toml
[doors.tokens.checkout]
file = "/etc/unquiet/checkout.token"     # or: env = "CHECKOUT_TOKEN"
```

* A file that everybody can read is refused: `chmod o-rwx FILE`.
* A token has at least 16 characters, without spaces: `openssl rand -hex 32`.
* No secret is in a message, a log or the output of `--check`.
* Who can be reached from other machines needs a token: a door or `service.read` on any address but this machine's own
  (`127.0.0.1`, `::1`, `localhost`) is refused without one. With a token, clients send `Authorization: Bearer TOKEN`; at the doors
  also `x-api-key: TOKEN`, or the token as the password of Basic, as Langfuse's SDK does.

| Variable | Meaning |
|---|---|
| `UNQUIET_CONFIG` | The file to read. |
| `UNQUIET_DB` | `service.folder`, for all commands. |
| `UNQUIET_READ_TOKEN` | A token that may read API and metrics, and act where there is none for that; called `env-read`. |
| `UNQUIET_ACT_TOKEN` | A token that may read and act; called `env-act`. |
| `UNQUIET_DOORS_TOKEN` | A token that opens the doors; called `env`. |
"""

ALERTS = """## `[alerts.NAME]`

One section a receiver; NAME is yours. It comes from the file only.

{table}

Any other key is an option of the kind; `unquiet serve --check` names those that it does not know. Options that hold a secret are
written `KEY = {{ env = "NAME" }}` or `KEY = {{ file = "PATH" }}`.
"""

ALERT_KEYS = (
    (
        "kind",
        "needed",
        "`webhook`, `slack`, `pagerduty`, `alertmanager`, `email`, `github`, or one that a package adds.",
    ),
    ("min_severity", f'`"{Alert("", "").min_severity}"`', f"What is less severe is not sent: {', '.join(SEVERITIES)}."),
)


def row(*cells: str) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def key_row(name: str, key: Key) -> str:
    """What there is to know of a key."""
    if key.kind is None:
        return row(f"`{name}`", "table", "", key.meaning)
    default = "not set" if key.default is None else f"`{key.default_text}`"
    return row(f"`{name}`", default, key.kind.allowed, key.meaning)


def section_lines(section: str) -> Iterator[str]:
    """The part of a section."""
    yield f"## `[{section}]`\n"
    yield (SECTIONS[section].__doc__ or "").splitlines()[0] + "\n"
    yield row("Key", "Default", "Allowed", "Meaning")
    yield "|---|---|---|---|"
    yield from (key_row(name, key) for name, key in keys_of(section).items())
    yield ""


def page() -> str:
    """docs/reference/configuration.md."""
    table = "\n".join(
        [row("Key", "Default", "Meaning"), "|---|---|---|", *(row(f"`{k}`", d, m) for k, d, m in ALERT_KEYS)]
    )
    parts = [HEAD, *(line for section in SECTIONS for line in section_lines(section)), ALERTS.format(table=table)]
    return "\n".join(parts).rstrip("\n") + "\n"
