// The view of a question: a pattern of facts in SPARQL or words, its answers, and the facts they rest on.

import { drawAnswer } from "./answer_drawing.js";
import { card, chips, element, entityAddress, factAddress, modelInfo, percent, request } from "./common.js";

const LIMIT = 20; // answers shown
const LOOKED_AT = 5; // neighbours of the example entity that are asked for facts of theirs

/** Return the address of a query's view. */
export const queryAddress = (query) => `/#/ask/${encodeURIComponent(query)}`;

/** Return the view of a query, without one of an empty field, and its title. */
export async function showAsk(query = "") {
  const info = await modelInfo();
  const found = query ? await answersTo(query) : null;
  const title = element("div", { class: "title" },
    element("h1", {}, "Ask for a pattern of facts"),
    element("p", { class: "soft" }, "In SPARQL, or in words with the name of an entity. Facts that are not stated take part with their probability."));
  return [element("article", { class: "column" }, title, await questionCard(query, info), found && answersCard(found, info)), "Ask"];
}

/** Request the answers; what is wrong with the query is a part of the view. */
async function answersTo(query) {
  try {
    return await request("ask", {}, { body: { query, limit: LIMIT } });
  } catch (error) {
    if (![404, 422].includes(error.status)) throw error;
    return { problem: error.message };
  }
}

async function questionCard(query, info) {
  const field = element("textarea", { id: "query", rows: "4", spellcheck: "false", autocapitalize: "off" }, query);
  const form = element("form", { class: "query" },
    element("label", { for: "query", class: "unseen" }, "Query in SPARQL or words"), field, element("button", { type: "submit" }, "Ask"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) location.assign(queryAddress(field.value.trim()));
  });
  const examples = query ? [] : (await examplesFor(info)).map((x) => element("a", { href: queryAddress(x) }, x));
  return card("Query", null, form, examples.length ? element("div", { class: "examples queries" }, examples) : null);
}

/** Return queries with facts of the model, by which the notation can be learned. */
async function examplesFor({ examples }) {
  if (!examples.length) return [];
  const [{ name, label }] = examples;
  const own = await factsOf(name);
  if (!own.length) return [];
  const questions = [`${inWords(own[0].relation.name)} of ${label}?`];
  for (const { relation, tail } of own.slice(0, LOOKED_AT)) {
    const further = (await factsOf(tail.name)).find((x) => x.tail.name !== name);
    if (!further || /[/#]type$/.test(further.relation.name)) continue;
    questions.push(`SELECT ?x WHERE { ${term(name)} ${along(relation)}/${along(further.relation)} ?x }`);
    break;
  }
  const [one, other] = own;
  if (!other) return questions;
  const first = `?x ${along(one.relation)} ${term(one.tail.name)}`;
  return [...questions,
    `SELECT ?x ?y WHERE { ${first} ; ${along(other.relation)} ?y }`,
    `SELECT ?x WHERE { ${first} FILTER NOT EXISTS { ?x ${along(other.relation)} ${term(other.tail.name)} } }`];
}

/** Return a fact that an entity is the head of for each relation, none along a kind of thing if there are others. */
async function factsOf(name) {
  const { facts } = await request("entity", { name });
  const named = facts.filter((x) => x.head.name === name && !x.tail.name.startsWith("_:"));
  const found = [...new Map(named.map((x) => [x.relation.name, x])).values()];
  const telling = found.filter((x) => !/[/#](type|subClassOf)$/.test(x.relation.name));
  return telling.length ? telling : found;
}

/** Return a relation in SPARQL's notation, by the end of its name where that is enough. */
const along = ({ name, label }) => (/^[A-Za-z][\w-]*$/.test(label) ? `:${label}` : term(name));

/** Return the words of a relation's name. */
const inWords = (name) => (name.split(/[/#]/).pop().match(/[A-Z]?[^\W_A-Z]+|[A-Z]+/g) ?? [name]).join(" ").toLowerCase();

/** Return a name in SPARQL's notation. */
function term(name) {
  if (/^[A-Za-z][\w-]*$/.test(name)) return `:${name}`;
  return /[\s<>"{}|^`\\]/.test(name) ? `:${name.replace(/\s/g, "_")}` : `<${name}>`;
}

function answersCard({ problem, answers, bounded, reading }, info) {
  if (problem) return element("div", { class: "card", role: "alert" }, element("h2", {}, "No answer"), element("p", {}, problem));
  if (!answers.length) return card("Answers", reading || null, "None has a probability that is worth showing.");
  const variables = Object.keys(answers[0].bindings);
  const heads = [...variables, "probability", "facts"].map((x) => element("th", { scope: "col" }, x));
  const note = bounded ? "Others that were not looked at may be as probable." : "";
  const key = (kind, text) => element("span", {}, element("i", { class: kind }), text);
  const legend = element("p", { class: "legend", "aria-hidden": "true" },
    key("target", `stated by ${info.source}`), key("background", "stated by other sources"), key("predicted", "inferred or predicted"));
  const drawn = answers.some((x) => x.hops.length);
  return card("Answers", [reading, note].filter(Boolean).join(" ") || null, drawn ? legend : null, element("div", { class: "wide" }, element("table", { class: "answers" },
    element("thead", {}, element("tr", {}, heads)),
    element("tbody", {}, answers.map((x, at) => answerRow(x, variables, info, at === 0))))));
}

function answerRow({ bindings, labels, probability, hops, stated }, variables, info, first) {
  const value = (name) => (name in labels ? element("a", { href: entityAddress(bindings[name]) }, labels[name]) : String(bindings[name]));
  const facts = probability === null ? [`${stated} by stated facts`]
    : hops.map((hop) => element("li", {},
      element("a", { href: factAddress(hop.head, hop.relation, hop.tail) }, hop.labels.join(" · ")), " ", basis(hop, info)));
  return element("tr", {},
    variables.map((name) => element("td", {}, value(name))),
    element("td", {}, probability === null ? "" : percent(probability), hops.length ? element("span", { class: "kind" }, statedBy(hops, info.source)) : null),
    element("td", {}, element("ul", { class: "small" }, facts),
      hops.length ? drawing({ hops, bindings }, info, first) : null));
}

/** Return in words where the facts of an answer come from. */
function statedBy(hops, target) {
  if (!hops.every((hop) => hop.basis === "stated")) return "predicted";
  return hops.every((hop) => hop.stated_by.includes(target)) ? "stated" : "stated by others";
}

/** Return the drawing of an answer, made when it is opened; that of the first one is. */
function drawing(answer, info, first) {
  const details = element("details", { class: "small", open: first && "" }, element("summary", {}, "Drawing"));
  const make = () => { if (details.open && details.children.length === 1) details.append(drawAnswer(answer, info.source)); };
  details.addEventListener("toggle", make);
  return details;
}

/** What a fact rests on: the sources that state it, a rule, or similar facts. */
function basis(hop, info) {
  const probability = hop.probability === 1 ? "" : ` ${percent(hop.probability)}`;
  if (hop.basis === "stated") return element("span", {}, chips(hop.stated_by, info.source), probability);
  return element("span", { class: "soft", title: hop.rule || undefined }, `${hop.basis}${probability}`);
}
