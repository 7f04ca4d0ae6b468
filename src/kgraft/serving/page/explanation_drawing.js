// The facts behind the strongest reasons of an explanation, as a graph.

import { graphFigure, kindOf } from "./graph.js";

const REASONS = 3; // reasons drawn
const BETWEEN = 6; // most entities between head and tail

/** Return the drawing. */
export function draw(found, target) {
  const { head, relation, tail } = found;
  const facts = drawnFacts(found).map((fact) => ({
    names: fact.names, labels: [fact.head, fact.relation, fact.tail], stated_by: fact.stated_by, kind: kindOf(fact, target),
  }));
  const labels = new Map(found.entities.map((entity) => [entity.name, entity.label]));
  for (const fact of facts) {
    for (const end of [0, 2]) fact.labels[end] = labels.get(fact.names[end]) ?? fact.labels[end];
  }
  const own = { names: [head, relation, tail], labels: found.labels, stated_by: [], kind: "predicted" };
  const others = facts.filter(({ names }) => names.join("\n") !== own.names.join("\n"));
  // A fact that is stated is drawn as such, once.
  const shown = others.length < facts.length ? facts : [own, ...others];
  return graphFigure(shown, { ends: [...new Set([head, tail])], target, words: inWords(found, facts) });
}

/** Return the facts to draw: statements of other sources, then those of the first rules and paths. */
function drawnFacts({ head, relation, tail, labels, stated_by, rules, paths }) {
  const sources = stated_by.map((x) => x.source);
  const facts = new Map();
  const add = (fact) => { if (!facts.has(keyOf(fact))) facts.set(keyOf(fact), fact); };
  if (sources.length) add({ names: [head, relation, tail], head: labels[0], relation: labels[1], tail: labels[2], stated_by: sources });
  const between = new Set();
  let drawn = 0;
  for (const reason of [...rules, ...paths].map((x) => x.facts)) {
    const others = reason.flatMap(({ names }) => [names[0], names[2]]).filter((x) => x !== head && x !== tail);
    const isNew = reason.some((fact) => !facts.has(keyOf(fact)));
    if (drawn === REASONS || !isNew || new Set([...between, ...others]).size > BETWEEN) continue;
    drawn += 1;
    others.forEach((x) => between.add(x));
    reason.forEach(add);
  }
  return [...facts.values()];
}

/** A key that a fact shares with its inverse, so that one of them is drawn. */
const keyOf = ({ names: [head, relation, tail] }) => [relation, ...[head, tail].sort()].join("\n");

/** Return the drawing as a sentence, for screen readers. */
function inWords(found, facts) {
  const texts = facts.map(({ labels, stated_by }) => `${labels.join(" ")}, stated by ${stated_by.join(" and ")}`);
  return `${found.labels.join(" ")}: ${texts.length ? texts.join("; ") : "no evidence to draw"}.`;
}
