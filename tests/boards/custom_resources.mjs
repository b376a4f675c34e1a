// Validates the custom resources in manifests (paths as arguments) against the schemas of their operators:
// ServiceMonitor of Prometheus', Application of Argo CD. Says how many there were.
import { readFileSync } from "node:fs";
import { loadAll } from "js-yaml";

const MODELS = {
  "monitoring.coreos.com/v1": await import("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"),
  "argoproj.io/v1alpha1": await import("@kubernetes-models/argo-cd/argoproj.io/v1alpha1"),
};

function validate(document) {
  const Model = MODELS[document.apiVersion]?.[document.kind];
  if (!Model) throw new Error(`no schema for ${document.apiVersion} ${document.kind}`);
  new Model(document).validate();
}

function isTaken(document) {
  try {
    validate(document);
    return true;
  } catch {
    return false;
  }
}

let validated = 0;
for (const path of process.argv.slice(2)) {
  for (const document of loadAll(readFileSync(path, "utf8"))) {
    if (!(document.apiVersion in MODELS)) continue;
    validate(document);
    // And the schema does say something of it.
    if (isTaken({ ...document, spec: "none" })) throw new Error(`${document.kind} without a spec is taken`);
    validated += 1;
  }
}
if (validated === 0) throw new Error("there is no custom resource");
console.log(`${validated} custom resources`);
