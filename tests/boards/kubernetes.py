"""Validates what kustomize renders (paths as arguments) against Kubernetes' own schemas, strictly.

Custom resources are left to `custom_resources.mjs`. A resource with a key too many must be refused, or
nothing is said by the rest being taken.
"""

import copy
import sys
from pathlib import Path

import kubernetes_validate
import yaml

CUSTOM = ("monitoring.coreos.com/", "argoproj.io/")
VERSION = kubernetes_validate.latest_version()


def is_taken(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


def main():
    kinds = set()
    for path in sys.argv[1:]:
        for document in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")):
            if document["apiVersion"].startswith(CUSTOM):
                continue
            kubernetes_validate.validate(document, VERSION, strict=True)
            kinds.add(document["kind"])
            wrong = copy.deepcopy(document)
            wrong["metadata"]["nmae"] = "misspelt"
            assert not is_taken(wrong), f"{document['kind']}: a misspelt key is taken"
    missing = {"StatefulSet", "Service", "NetworkPolicy", "ConfigMap", "ServiceAccount", "Namespace"} - kinds
    assert not missing, f"not rendered: {missing}"
    print(f"Kubernetes {VERSION}: {', '.join(sorted(kinds))}")


main()
