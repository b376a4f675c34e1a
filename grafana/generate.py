#!/usr/bin/env python3
"""Writes the dashboards, and docs/panels.md, from their source: `grafana/generate.py`, or with `--check` only
compares.

Needs nothing but Python. What it writes is committed, and `tests/boards` asserts that it is current.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from source.boards import chargeback, deep_dive, health, overview, roadmap, session, sessions
from source.panels import HOURS, USD, USD_IN_FULL
from source.queries import LogQL, LogsQL

HERE = Path(__file__).resolve().parent
WITH_EVENTS = [overview, deep_dive, roadmap, sessions, session]
WITHOUT_EVENTS = [chargeback, health]
# Units of Grafana's that nobody would know.
WRITTEN = {USD_IN_FULL: USD, HOURS: "hh:mm:ss"}


def files():
    """Path below grafana/ → text."""
    for module in WITHOUT_EVENTS:
        board = module.board()
        yield f"dashboards/{board.file}.json", board
    for module in WITH_EVENTS:
        for events, folder in ((LogQL(), "dashboards"), (LogsQL(), "dashboards-victorialogs")):
            board = module.board(events)
            yield f"{folder}/{board.file}.json", board


def texts():
    """Path below grafana/ → what is to be in it."""
    boards = list(files())
    for name, board in boards:
        yield name, json.dumps(board.document(), indent=1, ensure_ascii=False) + "\n"
    yield "../docs/panels.md", panels([board for name, board in boards if name.startswith("dashboards/")])


def panels(boards):
    """What each panel answers, in the order of the boards."""
    lines = ["# What each panel answers", "", "Written by `grafana/generate.py` from the panels' own descriptions."]
    for board in sorted(boards, key=lambda board: board.title):
        document = board.document()
        lines += ["", f"## {document['title']}", "", f"{document['description']} `/d/{document['uid']}`"]
        for panel in document["panels"]:
            if panel["type"] == "row":
                lines += ["", f"### {panel['title']}", "", "| panel | unit | what |", "| --- | --- | --- |"]
            else:
                unit = panel["fieldConfig"]["defaults"]["unit"].removeprefix("suffix: ")
                unit = WRITTEN.get(unit, unit)
                lines.append(f"| {panel['title']} | {unit} | {panel['description']} |")
    return "\n".join(lines) + "\n"


def main():
    check = "--check" in sys.argv[1:]
    different, names = [], set()
    for name, text in texts():
        path = HERE / name
        names.add(path)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        different.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in sorted(HERE.glob("dashboards*/*.json")):
        if path not in names:
            different.append(str(path.relative_to(HERE)))
            if not check:
                path.unlink()
    if check and different:
        sys.exit(f"not what grafana/source says, run grafana/generate.py: {', '.join(different)}")
    print(f"{len(names)} files, {len(different)} changed" if not check else f"{len(names)} files are current")


if __name__ == "__main__":
    main()
