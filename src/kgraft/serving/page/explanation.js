// The view of a fact: how sure the model is, a drawing of why, and the reasons in words.

import { draw } from "./drawing.js";
import { aboutModel, ask, card, chips, element, entityPlace, percent } from "./parts.js";

/** Return the view of a fact and its title. */
export async function showFact(head, relation, tail) {
  const [about, found] = await Promise.all([aboutModel(), ask("explain", { head, relation, tail })]);
  const [from, verb, to] = found.labels;
  const title = element("div", { class: "title" },
    element("p", { class: "soft" }, "Why would this be true?"),
    element("h1", {}, `${from} · ${verb} · ${to}`),
    element("p", {}, element("a", { href: entityPlace(found.head) }, from), " and ", element("a", { href: entityPlace(found.tail) }, to)));
  const columns = element("div", { class: "grid two" },
    element("div", { class: "column" }, verdictCard(found, about), drawingCard(found, about)),
    element("div", { class: "column" }, reasonCards(found, about)));
  return [element("article", { class: "column" }, title, columns), `${from}, ${verb}: ${to}`];
}

function drawingCard(found, about) {
  const key = (kind, text) => element("span", {}, element("i", { class: kind }), text);
  const legend = element("p", { class: "legend", "aria-hidden": "true" },
    key("asked", "the fact"), key("target", about.source), key("background", "other sources"), key("link", "the same entity"));
  return card("What speaks for it", "The facts below the strongest reasons; the reasons are also in words on this page.",
    element("figure", { class: "drawing" }, draw(found, about.source), legend));
}

function verdictCard(found, about) {
  const figures = [];
  if (found.probability !== null) figures.push(["probability", percent(found.probability)]);
  figures.push(["rank", `${found.rank.toLocaleString("en")}`], ["score", found.score.toFixed(2)]);
  const verdict = element("div", { class: "verdict" }, figures.map(([name, value], at) =>
    element("div", {}, element("span", { class: at ? "" : "figure" }, value), element("span", { class: "soft small" }, name))));
  const stated = found.stated_by.map((x) => x.source);
  const standing = !stated.length ? "No source states this fact."
    : found.copied ? `${about.source} does not state this fact; these do, and the model copies it:` : "This fact is stated by";
  return card("How sure", null, verdict,
    element("p", { class: "small" }, standing, " ", chips(stated, about.source)),
    without(found));
}

/** Say what becomes of the prediction without the fact that supports it most. */
function without({ without: left }) {
  if (!left) return null;
  const what = left.support === "statement" ? "Were it not " : "Without the fact ";
  const sure = left.probability === null ? `the score ${left.score.toFixed(2)}` : `a probability of ${percent(left.probability)}`;
  return element("p", { class: "small" }, what, element("em", {}, left.text),
    `, it would have ${sure} and rank ${left.rank.toLocaleString("en")}.`);
}

function reasonCards({ rules, paths, similar, supports }, about) {
  const said = (fact) => [element("span", {}, `${fact.head} · ${fact.relation} · ${fact.tail} `), chips(fact.stated_by, about.source)];
  const block = (facts) => facts.map((fact) => element("span", { class: "small" }, said(fact)));
  const reasons = (title, lead, items) => items.length ? card(title, lead, element("ul", { class: "reasons" }, items)) : null;
  return [
    reasons("Stated elsewhere", "Facts of other sources that speak for it, in their own names.", supports.slice(0, 8).map((x) =>
      element("li", {}, element("span", { class: "small" }, `${x.labels.join(" · ")} `, chips([x.source], about.source)),
        element("span", { class: "name" }, `${x.head} ${x.relation} ${x.tail}`)))),
    reasons("Rules", "What has been true where this was true, and how often.", rules.map((x) =>
      element("li", {}, element("span", {}, `${percent(x.confidence)} · ${x.rule}`), block(x.facts)))),
    reasons("Paths", "Ways from one to the other that the vectors take for much the same.", paths.map((x) =>
      element("li", {}, element("span", { class: "soft small" }, `weight ${x.weight.toFixed(2)}`), block(x.facts)))),
    reasons("Similar facts", "Known facts between entities like these two.", similar.map((x) =>
      element("li", {}, element("span", { class: "small" }, said(x.fact)), element("span", { class: "soft small" }, `similarity ${x.similarity.toFixed(2)}`)))),
  ].filter(Boolean);
}
