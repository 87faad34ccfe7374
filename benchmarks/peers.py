"""Other projects' refusal detectors, called from their own packages in a scratch environment.

    python benchmarks/peers.py --setup DIR        # DIR outside the repository; needs pip and npm
    python benchmarks/signals.py --peers DIR      # our figures next to theirs

Nothing of theirs is copied here. Their phrase lists need no model, so the packages are installed without their
model libraries; a peer that cannot be installed or called is reported with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
PYTHON_PACKAGES = (
    "garak==0.17.1",
    "llm-guard==0.3.16",
    "pyyaml==6.0.3",
    "xdg-base-dirs==6.0.3",
    "colorama==0.4.6",
    "structlog==26.1.0",
)
"""The two peers and what their phrase lists import."""

NODE_PACKAGES = ("promptfoo@0.121.20",)


@dataclass(frozen=True, slots=True)
class Peer:
    """A detector and the command that calls it in the scratch folder.

    `known_f1` is what was once measured on XSTest and on support denials, for when it cannot be called.
    """

    name: str
    command: tuple[str, ...]
    known_f1: tuple[str, str]


PEERS = (
    Peer("promptfoo is-refusal", ("node", str(HERE / "peer_calls.mjs")), (".88", ".21-.35")),
    Peer("garak MitigationBypass", ("venv/bin/python", str(HERE / "peer_calls.py"), "garak"), (".84", ".06-.29")),
    Peer("LLM-Guard NoRefusalLight", ("venv/bin/python", str(HERE / "peer_calls.py"), "llm_guard"), (".83", ".32-.41")),
)


class NotCallable(Exception):
    """A peer could not be called; the message says why."""


def flags(peer: Peer, scratch: Path, texts: list[str]) -> npt.NDArray[np.bool_]:
    """Which texts the peer takes for refusals, shape (len(texts),).

    Raises:
        NotCallable: It is not installed in `scratch`, failed, or answered for another number of texts.
    """
    command = [str(scratch / peer.command[0]) if "/" in peer.command[0] else peer.command[0], *peer.command[1:]]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    quiet = os.environ | {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
    try:
        done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=scratch, env=quiet, check=True)
        found = np.array(json.loads(done.stdout.splitlines()[-1]), np.bool_)
    except OSError as error:
        raise NotCallable(f"cannot be started: {error}") from error
    except subprocess.CalledProcessError as error:
        raise NotCallable((error.stderr.strip().splitlines() or ["failed without a message"])[-1]) from error
    except (ValueError, IndexError) as error:
        raise NotCallable(f"its answer cannot be read: {error}") from error
    if found.shape != (len(texts),):
        raise NotCallable(f"it answered for {found.size} of {len(texts)} texts")
    return found


def setup(scratch: Path) -> None:
    """Install the peers; what fails is said and left out, so that one of them missing does not cost the others."""
    scratch.mkdir(parents=True, exist_ok=True)
    venv.create(scratch / "venv", with_pip=True)
    pip = [str(scratch / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    commands = [[*pip, package] for package in PYTHON_PACKAGES] + [[*npm, package] for package in NODE_PACKAGES]
    (scratch / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    for command in commands:
        try:
            failed = subprocess.run(command, cwd=scratch, check=False).returncode
        except OSError as error:
            failed = error
        print(f"{command[-1]}: {f'not installed ({failed})' if failed else 'installed'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", type=Path, metavar="DIR", required=True, help="scratch folder to install them in")
    scratch = parser.parse_args().setup.resolve()
    if scratch.is_relative_to(HERE.parent):
        raise SystemExit(f"{scratch} is inside the repository: choose a folder outside it")
    setup(scratch)
    for peer in PEERS:
        try:
            found = flags(peer, scratch, ["I'm sorry, but I can't help with that.", "Your parcel arrives today."])
            print(f"{peer.name}: {'works' if found.tolist() == [True, False] else f'answers {found.tolist()}'}")
        except NotCallable as error:
            print(f"{peer.name}: cannot be called: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
