"""Reads every dashboard with Grafana's published types, and compares what comes back.

The SDK keeps what its schema knows and leaves out the rest: a name that is not Grafana's is missing
in what is written again.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# Of an import by hand, which the schema of a stored dashboard does not have.
OF_AN_IMPORT = {"__inputs", "__elements", "__requires"}
# Not in the schema: the variable's label for the query's editor, and the panel's plugin's own data.
OPAQUE = {"options", "custom", "datasource", "query", "targets"}


def lost(before, after, path):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in OPAQUE or (not path and key in OF_AN_IMPORT):
                continue
            if key not in after:
                if value not in (None, "", [], {}, False):
                    yield f"{path}/{key}"
            else:
                yield from lost(value, after[key], f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{path}: {len(before)} became {len(after)}"
        for index, pair in enumerate(zip(before, after)):
            yield from lost(*pair, f"{path}/{index}")


def roundtrip(before):
    after = json.loads(JSONEncoder(sort_keys=True, indent=1).encode(Dashboard.from_json(before)))
    return list(lost(before, after, ""))


def main():
    files = sorted(Path(sys.argv[1]).glob("dashboards*/*.json"))
    assert files, "no dashboards"
    wrong = []
    for file in files:
        board = json.loads(file.read_text(encoding="utf-8"))
        wrong += [f"{file.name}: {path}" for path in roundtrip(board)]
        # And a key that is not Grafana's is found.
        board["panels"][0]["titel"] = "misspelt"
        assert "/panels/0/titel" in roundtrip(board), f"{file.name}: a misspelt key is taken"
    if wrong:
        sys.exit("not in Grafana's schema:\n" + "\n".join(sorted(set(wrong))[:60]))
    print(f"{len(files)} dashboards")


main()
