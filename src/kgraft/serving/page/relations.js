// The relations of the graph, and the view of one: its facts, and those that it lacks.

import { card, chips, element, entityAddress, factAddress, grouped, modelInfo, percent, relationAddress, request } from "./common.js";
import { missingList } from "./review.js";

const FACTS = 20; // facts shown at first

/** Return the view of all relations and its title. */
export async function showRelations() {
  const [info, { relations }] = await Promise.all([modelInfo(), request("relations")]);
  const title = element("div", { class: "title" }, element("h1", {}, "Relations"),
    element("p", { class: "soft" }, `What ${info.source} states, and an estimate of what it lacks. Facts of others are those that other sources state and ${info.source} does not.`));
  return [element("article", { class: "column" }, title, element("section", { class: "card" },
    element("h2", { class: "unseen" }, "All relations"), relationTable(relations)),
    element("p", {}, element("a", { href: "/#/missing" }, "The most probable missing facts of all relations"))), "Relations"];
}

/** Return a table of relations. */
export const relationTable = (relations) => element("div", { class: "wide" }, element("table", { class: "plain numbered" },
  element("thead", {}, element("tr", {}, ["relation", "facts", "of others", "complete", "missing, about"].map((x) => element("th", { scope: "col" }, x)))),
  element("tbody", {}, relations.map((x) => element("tr", {},
    element("th", { scope: "row" }, element("a", { href: relationAddress(x.name) }, x.label)),
    element("td", {}, grouped(x.facts)), element("td", {}, grouped(x.others)),
    element("td", {}, x.complete === null ? "–" : percent(x.complete)),
    element("td", {}, x.missing === null ? "–" : grouped(Math.round(x.missing))))))));

/** Return the view of a relation and its title. */
export async function showRelation(name = "") {
  const [info, found] = await Promise.all([modelInfo(), request("relation", { name })]);
  const { size, names, facts, n_facts } = found;
  const about = [`${grouped(size.facts)} facts in ${info.source}`];
  if (size.others) about.push(`${grouped(size.others)} more in other sources`);
  if (size.complete !== null) about.push(`about ${percent(size.complete)} of the true ones are stated`);
  const title = element("div", { class: "title" },
    element("p", { class: "soft" }, element("a", { href: "/#/relations" }, "Relations")),
    element("h1", {}, size.label),
    element("div", { class: "names" }, Object.entries(names).map(([source, text]) =>
      element("span", {}, chips([source], info.source), " ", element("span", { class: "name" }, text)))),
    element("p", {}, `${about.join("; ")}.`));
  const missing = card("Missing facts", `The most probable ones that ${info.source} does not state.`, await missingList({ info, relation: size.name }));
  return [element("article", { class: "column" }, title,
    element("div", { class: "grid two" }, missing, factsCard(facts, n_facts, size.name, info))), size.label];
}

function factsCard(facts, all, relation, info) {
  const end = ({ name, label, queryable }) => (queryable ? element("a", { href: entityAddress(name) }, label) : label);
  const rows = facts.map((x) => element("li", { class: "row" },
    element("span", {}, end(x.head), " · ", end(x.tail)), chips(x.stated_by, info.source),
    x.head.queryable && x.tail.queryable ? element("a", { class: "why", href: factAddress(x.head.name, relation, x.tail.name), "aria-label": `Why ${x.head.label} ${x.tail.label}?` }, "Why?") : null));
  const list = element("ul", {}, rows.slice(0, FACTS));
  const more = rows.length > FACTS ? element("button", { class: "more", type: "button",
    onclick: () => { list.append(...rows.slice(FACTS)); more.remove(); } }, `Show ${rows.length - FACTS} more`) : null;
  const count = facts.length < all ? `${facts.length} of ${grouped(all)}` : grouped(all);
  return card("Stated facts", `${count} training facts, with the sources that state them.`, list, more);
}
