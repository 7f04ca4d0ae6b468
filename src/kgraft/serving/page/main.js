// The view of each address, the start page, and errors.

import { showAsk } from "./ask.js";
import { element, entityAddress, grouped, keepToken, modelInfo } from "./common.js";
import { showDocs } from "./docs.js";
import { showEntity } from "./entity.js";
import { showFact } from "./explanation.js";
import { startSearch } from "./search.js";

const WAYS = { vectors: "vectors", rules: "rules", both: "vectors and rules" };

const content = document.getElementById("content");
const status = document.getElementById("status");
const search = document.getElementById("search");
let latest = 0; // number of the latest view, so that a slow one does not replace a later one

function present(view, title) {
  content.replaceChildren(view);
  document.title = title ? `${title} · kgraft` : "kgraft";
  status.textContent = title ?? "kgraft";
}

/** The start page: the model, its sources, and example entities. */
async function showStart() {
  const { source, entities, answers_by, sources, examples, metrics } = await modelInfo();
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
    element("p", { class: "small" }, element("a", { href: "/#/ask" }, "Ask for a pattern of several facts")))];
}

function errorView(error) {
  const titles = { 401: "Token needed", 404: "Not found" };
  const parts = [element("h1", {}, titles[error.status] ?? "Error"), element("p", {}, error.message)];
  if (error.status === 401) {
    const field = element("input", { id: "token", type: "password", autocomplete: "off" });
    const form = element("form", { class: "token" },
      element("label", { for: "token" }, "Token"), field, element("button", { type: "submit" }, "Use token"));
    form.addEventListener("submit", (event) => { event.preventDefault(); keepToken(field.value.trim()); route(); });
    parts.push(form);
  } else {
    parts.push(element("button", { onclick: route }, "Try again"));
  }
  return element("div", { class: "notice", role: "alert" }, parts);
}

async function route() {
  const number = ++latest;
  const [kind, ...names] = location.hash.replace(/^#\/?/, "").split("/");
  const show = location.pathname === "/docs" ? showDocs : { ask: showAsk, entity: showEntity, fact: showFact }[kind] ?? showStart;
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
