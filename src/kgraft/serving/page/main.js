// The view of each address, the start page, and errors.

import { showAsk } from "./ask.js";
import { element, entityAddress, grouped, keepToken, modelInfo, request } from "./common.js";
import { showDocs } from "./docs.js";
import { showEntity } from "./entity.js";
import { showFact } from "./explanation.js";
import { showMap } from "./map.js";
import { relationTable, showRelation, showRelations } from "./relations.js";
import { showMissing } from "./review.js";
import { startSearch } from "./search.js";

const WAYS = { vectors: "vectors", rules: "rules", both: "vectors and rules" };

const RELATIONS = 12; // relations on the start page
const VIEWS = { ask: showAsk, entity: showEntity, fact: showFact, map: showMap, missing: showMissing, relation: showRelation, relations: showRelations };

const content = document.getElementById("content");
const status = document.getElementById("status");
const search = document.getElementById("search");
let latest = 0; // number of the latest view, so that a slow one does not replace a later one

/** Mark the link to the view that is shown. */
function showPlace(kind) {
  const at = location.pathname === "/docs" ? "/docs" : `/#/${kind === "relation" ? "relations" : kind ?? ""}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === at) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function present(view, title) {
  content.replaceChildren(view);
  document.title = title ? `${title} · kgraft` : "kgraft";
  status.textContent = title ?? "kgraft";
}

/** The start page: the model, its sources, and example entities. */
async function showStart() {
  const [{ source, entities, answers_by, sources, examples, metrics }, { relations }] = await Promise.all([modelInfo(), request("relations")]);
  const mrr = metrics.validation_mrr_by?.[answers_by];
  const quality = mrr ? ` Mean reciprocal rank on validation facts: ${(100 * mrr).toFixed(1)} %.` : "";
  const rows = sources.map(({ name, entities, facts }) => element("tr", {},
    element("td", {}, element("span", { class: name === source ? "chip target" : "chip" }, name), name === source ? " target" : null),
    element("td", {}, grouped(entities)), element("td", {}, grouped(facts))));
  return [element("div", { class: "start" },
    element("h1", {}, source),
    element("p", { class: "lead" }, `This model predicts missing facts about ${grouped(entities)} entities of ${source} by ${WAYS[answers_by]}.${quality}`),
    element("table", {},
      element("thead", {}, element("tr", {}, ["source", "entities", "facts"].map((x) => element("th", { scope: "col" }, x)))),
      element("tbody", {}, rows)),
    element("p", { class: "soft small" }, "Search above, or start with an example"),
    element("div", { class: "examples" }, examples.map((x) => element("a", { href: entityAddress(x.name) }, x.label))),
    element("ul", { class: "ways" }, [
      ["/#/missing", "Missing facts", `The most probable facts that ${source} lacks, to accept or refuse`],
      ["/#/ask", "Ask for a pattern of several facts", "In SPARQL or in words"],
      ["/#/map", "Map", "All entities, similar ones near each other"],
    ].map(([href, title, text]) => element("li", {}, element("a", { href }, title), element("span", { class: "soft small" }, text)))),
    element("section", {}, element("h2", {}, "Relations"), relationTable(relations.slice(0, RELATIONS)),
      relations.length > RELATIONS ? element("p", { class: "small" }, element("a", { href: "/#/relations" }, `All ${grouped(relations.length)} relations`)) : null))];
}

/** Return a sentence with a capital. */
const sentence = (text) => text && text[0].toUpperCase() + text.slice(1);

function errorView(error) {
  const titles = { 0: "No answer", 401: "Token needed", 404: "Not found", 503: "Busy" };
  const parts = [element("h1", {}, titles[error.status] ?? "Error"), element("p", {}, sentence(error.message) ?? "Something failed on this page; the browser's console has more.")];
  if (error.status === 401) {
    const field = element("input", { id: "token", type: "password", autocomplete: "off" });
    const form = element("form", { class: "token" },
      element("label", { for: "token" }, "Token"), field, element("button", { type: "submit" }, "Use token"));
    form.addEventListener("submit", (event) => { event.preventDefault(); keepToken(field.value.trim()); route(); });
    parts.push(form);
  } else {
    parts.push(element("div", { class: "examples" }, element("button", { onclick: route }, "Try again"), element("a", { href: "/#/" }, "Start page")));
    if (error.status === 404) parts.push(element("p", { class: "soft small" }, "For the search above, the beginning of a word is enough."));
  }
  return element("div", { class: "notice", role: "alert" }, parts);
}

async function route() {
  const number = ++latest;
  const [kind, ...names] = location.hash.replace(/^#\/?/, "").split("/");
  const show = location.pathname === "/docs" ? showDocs : VIEWS[kind] ?? showStart;
  content.setAttribute("aria-busy", "true");
  let view, title;
  try {
    [view, title] = await show(...names.map(decodeURIComponent));
  } catch (error) {
    if (error.status === undefined) console.error(error);
    [view, title] = [errorView(error), error.message];
  }
  if (number !== latest) return;
  present(view, title);
  showPlace(kind);
  content.removeAttribute("aria-busy");
  window.scrollTo(0, 0);
}

startSearch(search, document.getElementById("found"));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); content.focus(); });
window.addEventListener("hashchange", async () => { await route(); content.focus({ preventScroll: true }); });
window.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing) { event.preventDefault(); search.focus(); }
});
route();
