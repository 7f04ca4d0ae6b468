// The view of an entity: predictions with probabilities, neighbours on the map, facts by source.

import { showMap } from "./atlas.js";
import { aboutModel, ask, card, chips, element, entityPlace, factPlace, percent, shape } from "./parts.js";

const LOOKED_AT = 30; // answers asked for, since those that the graph states itself are left out
const BEST = 3; // answers of each question that are shown
const PARTS = 6; // questions that are shown, those with the surest answers

/** Return the view of an entity and its title. */
export async function showEntity(name) {
  const [about, around, alike, map] = await Promise.all([
    aboutModel(), ask("entity", { name }), ask("similar", { entity: name, k: 12 }), ask("map")]);
  const predictions = element("div", {}, element("p", { class: "waiting" }, "Predicting …"));
  fillPredictions(predictions, around, about);
  const names = Object.entries(around.names).map(([source, own]) =>
    element("span", {}, chips([source], about.source), " ", element("span", { class: "name" }, own)));
  const title = element("div", { class: "title" },
    element("h1", {}, around.label), element("div", { class: "names" }, names));
  const columns = element("div", { class: "grid two" },
    predictionCard(predictions, around, about), showMap(around.label, alike, map));
  return [element("article", { class: "column" }, title, columns, factsCard(around, about)), around.label];
}

function predictionCard(predictions, around, about) {
  const lead = about.calibrated
    ? `Most plausible facts that ${about.source} does not state, with their probability.`
    : `Most plausible facts that ${about.source} does not state. This model's scores are no probabilities.`;
  return card("Predictions", lead, predictions, chooser(predictions, around, about));
}

/** Answer the questions that are likely to have answers. */
async function fillPredictions(place, around, about) {
  if (!around.queries.length) return place.replaceChildren(element("p", { class: "soft" }, "Entities like this one have no facts to go by."));
  try {
    place.replaceChildren(...await answered(around, about, around.queries, BEST));
    if (!place.childElementCount) place.replaceChildren(element("p", { class: "soft" }, `Whatever seems plausible, ${about.source} states already.`));
  } catch (error) {
    place.replaceChildren(element("p", { role: "alert" }, error.message));
  }
}

/** Return what is predicted, a part for each question that has new answers. */
async function answered(around, about, questions, most) {
  const queries = questions.map((question) => question.asks_for === "tail"
    ? { head: around.name, relation: question.relation.name }
    : { relation: question.relation.name, tail: around.name });
  const { answers } = await ask("predict", {}, { body: { queries, k: LOOKED_AT, typed: true } });
  const parts = answers.map(({ predictions }, at) => {
    const fresh = predictions.filter((x) => !x.stated_by.includes(about.source) && x.head !== x.tail).slice(0, most);
    return { question: questions[at], fresh, best: Math.max(0, ...fresh.map((x) => x.probability ?? 0)) };
  });
  parts.sort((one, other) => other.best - one.best);
  return parts.filter((x) => x.fresh.length).slice(0, PARTS).map(({ question, fresh }) =>
    element("section", { class: "relation" }, element("h3", {}, heading(question, around.label)),
      element("ul", {}, fresh.map((x) => predictionRow(x, question, about)))));
}

const heading = (question, label) => question.asks_for === "tail"
  ? `${label} · ${question.relation.label} · ?` : `? · ${question.relation.label} · ${label}`;

function predictionRow(prediction, question, about) {
  const answer = question.asks_for === "tail" ? prediction.tail : prediction.head;
  const { head, relation, tail, probability, label } = prediction;
  const sure = probability === null
    ? [element("span", { class: "share" }, prediction.score.toFixed(2))]
    : [bar(probability), element("span", { class: "share" }, percent(probability))];
  return element("li", { class: "row" },
    element("span", {}, element("a", { href: entityPlace(answer) }, label), " ", chips(prediction.stated_by, about.source)),
    sure,
    element("a", { class: "why", href: factPlace(head, relation, tail), "aria-label": `Why ${label}?` }, "Why?"));
}

function bar(share) {
  const filled = shape("rect", { x: 0, y: 0, width: 100 * share, height: 6 });
  return element("span", { class: "bar", "aria-hidden": "true" },
    shape("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, filled));
}

/** Let any relation be asked for. */
function chooser(place, around, about) {
  const options = about.relations.flatMap((relation) => [
    element("option", { value: JSON.stringify([relation, "tail"]) }, `${relation.label} · ?`),
    element("option", { value: JSON.stringify([relation, "head"]) }, `? · ${relation.label}`)]);
  const select = element("select", { id: "ask" }, element("option", { value: "" }, "what is most likely to have answers"), options);
  select.addEventListener("change", async () => {
    if (!select.value) return fillPredictions(place, around, about);
    const [relation, asks_for] = JSON.parse(select.value);
    try {
      const found = await answered(around, about, [{ relation, asks_for }], 10);
      place.replaceChildren(...(found.length ? found : [element("p", { class: "soft" }, "No new answer has been seen with this relation.")]));
    } catch (error) {
      place.replaceChildren(element("p", { role: "alert" }, error.message));
    }
  });
  return element("div", { class: "ask" }, element("label", { for: "ask" }, `Ask about ${around.label}`), select);
}

/** The facts, by relation, each with those who state it; long lists unfold. */
function factsCard(around, about) {
  const groups = new Map();
  for (const fact of around.facts) {
    const out = fact.head.name === around.name;
    const key = `${out}\n${fact.relation.name}`;
    const group = groups.get(key) ?? { out, label: fact.relation.label, facts: [] };
    group.facts.push({ other: out ? fact.tail : fact.head, stated_by: fact.stated_by });
    groups.set(key, group);
  }
  const counted = around.facts.length < around.n_facts
    ? `${around.facts.length} of ${around.n_facts.toLocaleString("en")} facts` : `${around.n_facts} facts`;
  const sections = [...groups.values()].map((group) => factGroup(group, around, about));
  return card("Facts", `${counted} that the model has learned from, with the sources that state them.`, element("div", { class: "facts" }, sections));
}

const FOLDED = 6;

function factGroup({ out, label, facts }, around, about) {
  const rows = facts.map(({ other, stated_by }) => element("li", { class: "row" },
    element("span", {}, other.queryable ? element("a", { href: entityPlace(other.name) }, other.label) : other.label),
    chips(stated_by, about.source)));
  const list = element("ul", {}, rows.slice(0, FOLDED));
  const more = rows.length > FOLDED && element("button", {
    class: "more", onclick: () => { list.append(...rows.slice(FOLDED)); more.remove(); },
  }, `Show ${rows.length - FOLDED} more`);
  return element("section", { class: "group" }, element("h3", {}, out ? label : `is ${label} of`), list, more || null);
}
