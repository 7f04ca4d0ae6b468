// The facts of an answer as a graph.

import { graphFigure, kindOf } from "./graph.js";

/** Return the drawing of an answer's facts. */
export function drawAnswer({ hops, bindings }, target) {
  const facts = hops.map((hop) => ({
    names: [hop.head, hop.relation, hop.tail], labels: hop.labels, stated_by: hop.stated_by,
    kind: hop.basis === "stated" ? kindOf(hop, target) : "predicted",
  }));
  const answers = new Set(Object.values(bindings));
  const ends = [...new Set(facts.flatMap(({ names }) => [names[0], names[2]]))].filter((name) => answers.has(name));
  const words = `${hops.map((hop) => `${hop.labels.join(" ")}, ${hop.basis}`).join("; ")}.`;
  return graphFigure(facts, { ends: ends.length ? ends : [facts[0].names[0]], target, words });
}
