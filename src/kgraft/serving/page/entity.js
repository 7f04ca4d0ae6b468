// The view of an entity: predictions, similar entities on the map, and facts by source.

import { bar, card, chips, element, entityAddress, factAddress, grouped, modelInfo, percent, relationAddress, request } from "./common.js";
import { mapCard } from "./map.js";
import { mapOfAll } from "./scatter.js";

const ANSWERS = 30; // answers requested for each query; those that the target states are left out
const BEST = 3; // answers shown for each suggested query
const CHOSEN = 10; // answers shown for a query that the user chooses
const QUERIES = 6; // queries shown, those with the most probable answers
const FACTS = 6; // facts of a relation shown at first

/** Return the view of an entity and its title. */
export async function showEntity(name = "") {
  const [info, entity, similar, map] = await Promise.all([
    modelInfo(), request("entity", { name }), request("similar", { entity: name, k: 12 }), mapOfAll()]);
  const names = Object.entries(entity.names).map(([source, name]) =>
    element("span", {}, chips([source], info.source), " ", element("span", { class: "name" }, name)));
  const title = element("div", { class: "title" },
    element("h1", {}, entity.label), element("div", { class: "names" }, names));
  const columns = element("div", { class: "grid two" },
    predictionCard(entity, info), mapCard(entity.name, entity.label, similar, map));
  return [element("article", { class: "column" }, title, columns, factsCard(entity, info)), entity.label];
}

const heading = (label, relation, asksFor, answer = "?") =>
  (asksFor === "tail" ? [label, relation, answer] : [answer, relation, label]).join(" · ");

/** Return the same with a link to the relation's view. */
function linkedHeading(label, relation, asksFor, answer = "?") {
  const along = element("a", { href: relationAddress(relation.name) }, relation.label);
  const parts = asksFor === "tail" ? [label, along, answer] : [answer, along, label];
  return element("h3", {}, parts.flatMap((part, at) => (at ? [" · ", part] : [part])));
}

/** The card of predictions, with a choice of the relation. */
function predictionCard(entity, info) {
  const lead = info.calibrated ? `The most probable facts that ${info.source} does not state.`
    : `The facts with the highest scores that ${info.source} does not state. Scores are not probabilities.`;
  const place = element("div", {}, element("p", { class: "waiting" }, "Predicting …"));
  const fill = async (queries, most, none) => {
    try {
      const found = queries.length ? await predictions(entity, info, queries, most) : [];
      place.replaceChildren(...(found.length ? found : [element("p", { class: "soft" }, none)]));
    } catch (error) {
      place.replaceChildren(element("p", { role: "alert" }, error.message));
    }
  };
  const fillSuggested = () => fill(entity.queries, BEST, `No fact found that ${info.source} does not state.`);
  const select = element("select", { id: "relation" }, element("option", { value: "" }, "the most probable facts"),
    info.relations.flatMap((relation) => ["tail", "head"].map((asks_for) =>
      element("option", { value: JSON.stringify({ relation, asks_for }) }, heading(entity.label, relation.label, asks_for)))));
  select.addEventListener("change", () => select.value
    ? fill([JSON.parse(select.value)], CHOSEN, "Nothing is stated or predicted with this relation.") : fillSuggested());
  fillSuggested();
  return card("Predictions", lead, place,
    element("div", { class: "choice" }, element("label", { for: "relation" }, "Predictions to show"), select));
}

/** Return a section for each query that has new answers. */
async function predictions(entity, info, queries, most) {
  const body = { k: ANSWERS, typed: true, queries: queries.map(({ relation, asks_for }) =>
    ({ relation: relation.name, [asks_for === "tail" ? "head" : "tail"]: entity.name })) };
  const { answers } = await request("predict", {}, { body });
  const sections = answers.map(({ predictions }, at) => {
    const stated = most === BEST ? [] : predictions.filter((x) => x.stated_by.includes(info.source));
    const unstated = predictions.filter((x) => !x.stated_by.includes(info.source) && x.head !== x.tail && !(most === BEST && x.contradicts))
      .sort((one, other) => (other.probability ?? 0) - (one.probability ?? 0)).slice(0, most);
    return { ...queries[at], stated, unstated, best: Math.max(0, ...unstated.map((x) => x.probability ?? 0)) };
  });
  return sections.filter((x) => x.unstated.length || x.stated.length).sort((one, other) => other.best - one.best).slice(0, QUERIES)
    .map(({ relation, asks_for, stated, unstated }) => element("section", { class: "relation" },
      linkedHeading(entity.label, relation, asks_for),
      stated.length ? element("p", { class: "kind" }, "Stated") : null,
      element("ul", {}, stated.map((x) => statedRow(x, asks_for, info))),
      stated.length ? element("p", { class: "kind" }, unstated.length ? "Predicted" : "Nothing else is predicted.") : null,
      element("ul", {}, unstated.map((x) => predictionRow(x, asks_for, info)))));
}

/** Return the row of an answer that the target states. */
const statedRow = ({ head, relation, tail, label, stated_by }, asksFor, info) => element("li", { class: "row" },
  element("span", {}, element("a", { href: entityAddress(asksFor === "tail" ? tail : head) }, label)), chips(stated_by, info.source),
  element("a", { class: "why", href: factAddress(head, relation, tail), "aria-label": `Why ${label}?` }, "Why?"));

function predictionRow({ head, relation, tail, label, probability, score, stated_by, contradicts }, asksFor, info) {
  const value = probability === null
    ? [element("span", { class: "share" }, score.toFixed(2))]
    : [bar(probability), element("span", { class: "share" }, percent(probability))];
  return element("li", { class: "row" },
    element("span", {}, element("a", { href: entityAddress(asksFor === "tail" ? tail : head) }, label), " ", chips(stated_by, info.source),
      contradicts ? element("span", { class: "soft small" }, ` ${contradicts}`) : null),
    value,
    element("a", { class: "why", href: factAddress(head, relation, tail), "aria-label": `Why ${label}?` }, "Why?"));
}

/** The card of facts, by relation. */
function factsCard(entity, info) {
  const groups = new Map();
  for (const { head, relation, tail, stated_by } of entity.facts) {
    const side = head.name === entity.name ? "tail" : "head";
    const title = `${side} ${relation.name}`;
    const made = info.relations.some((x) => x.name === relation.name) ? linkedHeading(entity.label, relation, side, "…")
      : element("h3", {}, heading(entity.label, relation.label, side, "…"));
    if (!groups.has(title)) groups.set(title, { title: made, facts: [] });
    groups.get(title).facts.push({ other: head.name === entity.name ? tail : head, stated_by });
  }
  const count = entity.facts.length < entity.n_facts ? `${entity.facts.length} of ${grouped(entity.n_facts)}` : entity.n_facts;
  return card("Facts", `${count} training facts, with the sources that state them.`,
    element("div", { class: "facts" }, [...groups.values()].map(({ title, facts }) => factGroup(title, facts, info))));
}

function factGroup(title, facts, info) {
  const rows = facts.map(({ other, stated_by }) => element("li", { class: "row" },
    element("span", {}, other.queryable ? element("a", { href: entityAddress(other.name) }, other.label) : other.label),
    chips(stated_by, info.source)));
  const list = element("ul", {}, rows.slice(0, FACTS));
  const more = rows.length > FACTS ? element("button", {
    class: "more", onclick: () => { list.append(...rows.slice(FACTS)); more.remove(); },
  }, `Show ${rows.length - FACTS} more`) : null;
  return element("section", { class: "group" }, title, list, more);
}
