// The view of a fact: its probability, a drawing of the evidence, and the evidence in words.

import { brief, card, chips, element, entityAddress, grouped, modelInfo, percent, request } from "./common.js";
import { decisionButtons, decisionsKept } from "./review.js";
import { draw } from "./explanation_drawing.js";

const STATEMENTS = 8; // supporting statements shown

/** Return the view of a fact and its title. */
export async function showFact(head, relation, tail) {
  const [info, found, decisions] = await Promise.all([modelInfo(), request("explain", { head, relation, tail }), decisionsKept()]);
  const [from, , to] = found.labels;
  const title = element("div", { class: "title" },
    element("p", { class: "soft" }, "Explanation"),
    element("h1", {}, found.labels.join(" · ")),
    element("p", {}, "About ", element("a", { href: entityAddress(found.head) }, from), " and ", element("a", { href: entityAddress(found.tail) }, to)));
  const [statements, ...reasons] = evidenceCards(found, info);
  const columns = element("div", { class: "grid two" },
    element("div", { class: "column" }, predictionCard(found, info, decisions), drawingCard(found, info), statements),
    element("div", { class: "column" }, reasons));
  return [element("article", { class: "column" }, title, columns), found.labels.join(" · ")];
}

function drawingCard(found, info) {
  const key = (kind, text) => element("span", {}, element("i", { class: kind }), text);
  const legend = element("p", { class: "legend", "aria-hidden": "true" },
    key("predicted", "not stated"), key("target", `stated by ${info.source}`), key("background", "stated by other sources"));
  return card("Evidence", "The facts behind the strongest reasons. The lists on this page have all of them in words.",
    draw(found, info.source), legend);
}

/** The card of the model's numbers, the sources, and the prediction without its best support. */
function predictionCard(found, info, { file, decisions }) {
  const numbers = found.probability === null ? [] : [["probability", percent(found.probability)]];
  if (found.probability_if_asked !== null) numbers.push(["if asked", percent(found.probability_if_asked)]);
  numbers.push([`rank of ${grouped(found.candidates)}`, grouped(found.rank)], ["score", found.score.toFixed(2)]);
  const stated = found.stated_by.map((x) => x.source);
  const sources = !stated.length ? "No source states this fact."
    : found.copied ? `${info.source} does not state this fact. The model copies it from` : "Stated by";
  const left = found.without;
  const value = left && (left.probability_if_asked === null ? `the score ${left.score.toFixed(2)}`
    : `a probability of ${percent(left.probability_if_asked)} if asked`);
  return card("Prediction", null,
    element("div", { class: "numbers" }, numbers.map(([name, number], at) =>
      element("div", {}, element("span", { class: at ? "" : "figure" }, number), element("span", { class: "soft small" }, name)))),
    element("p", { class: "small" }, sources, " ", chips(stated, info.source)),
    found.contradicts ? element("p", { class: "small" }, "It is contradicted: ", found.contradicts, ".") : null,
    stated.includes(info.source) ? null : decision(found, file, decisions),
    left && element("p", { class: "small" }, left.support === "statement" ? "If it were not " : "Without the fact ",
      element("em", {}, left.text), `: it would have ${value} and rank ${grouped(left.rank)}.`));
}

/** Return the buttons that decide about the fact. */
function decision(found, file, decisions) {
  const kept = decisions.find((x) => x.head === found.head && x.relation === found.relation && x.tail === found.tail);
  return element("p", { class: "decision small" }, "Is it true? ", decisionButtons({ ...found, decision: kept?.decision ?? null }, file));
}

function evidenceCards({ rules, paths, similar, supports }, info) {
  const line = (fact) => element("span", { class: "small" }, `${brief(fact.head)} · ${fact.relation} · ${brief(fact.tail)} `, chips(fact.stated_by, info.source));
  const note = (name, value) => element("span", { class: "soft small" }, `${name} ${value.toFixed(2)}`);
  const list = (title, lead, items) => (items.length ? card(title, lead, element("ul", { class: "reasons" }, items)) : null);
  return [
    list("Supporting statements", "Facts of other sources that support it, with the sources' own names.", supports.slice(0, STATEMENTS).map((x) =>
      element("li", {}, element("span", { class: "small" }, `${x.labels.join(" · ")} `, chips([x.source], info.source)),
        element("span", { class: "name" }, `${x.head} ${x.relation} ${x.tail}`)))),
    list("Rules", "Rules that infer it, with their confidence.", rules.map((x) =>
      element("li", {}, element("span", {}, `${percent(x.confidence)} · ${x.rule}`), x.facts.map(line)))),
    list("Paths", "Paths between the two entities that the vectors find similar to the relation.", paths.map((x) =>
      element("li", {}, note("weight", x.weight), x.facts.map(line)))),
    list("Similar facts", "Facts of the same relation between similar entities.", similar.map((x) =>
      element("li", {}, line(x.fact), note("similarity", x.similarity)))),
  ];
}
