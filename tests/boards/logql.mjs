// Parses queries (a JSON list on standard input) with the grammar of Loki's editor, and names each that has
// a place which does not fit.
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-logql";

function mistakes(query) {
  const places = [];
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) places.push(node.from);
    },
  });
  return places;
}

const queries = JSON.parse(readFileSync(0, "utf8"));
const wrong = queries.filter((query) => mistakes(query).length > 0);
for (const query of wrong) console.error(`at ${mistakes(query)}: ${query}`);
if (mistakes("sum by (model (count_over_time({a=`b`} [5m]))").length === 0) {
  console.error("a query that is wrong is taken");
  process.exit(1);
}
if (queries.length === 0 || wrong.length > 0) process.exit(1);
console.log(`${queries.length} queries`);
