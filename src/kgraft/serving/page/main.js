// Which view an address shows, and what is shown when there is none.

import { showEntity } from "./entity.js";
import { showFact } from "./explanation.js";
import { aboutModel, element, entityPlace, keepToken } from "./parts.js";
import { enliven } from "./search.js";

const content = document.getElementById("content");
const status = document.getElementById("status");
const search = document.getElementById("search");
let shown = 0; // counts views, so that a slow one does not replace a later one

/** Show a view; the place says how it is headed, once it is there. */
function present(view, title) {
  content.replaceChildren(view);
  document.title = title ? `${title} · kgraft` : "kgraft";
  status.textContent = title ?? "kgraft";
}

/** The first page: what is served, and where one may begin. */
async function showStart() {
  const about = await aboutModel();
  const rows = about.sources.map((source) => element("tr", {},
    element("td", {}, element("span", { class: source.name === about.source ? "chip target" : "chip" }, source.name)),
    element("td", {}, source.entities.toLocaleString("en")),
    element("td", {}, source.facts.toLocaleString("en"))));
  const mrr = about.metrics.validation_mrr_by?.[about.answers_by];
  const how = { vectors: "its vectors", rules: "rules", both: "vectors and rules" }[about.answers_by];
  const quality = mrr ? ` Its validation MRR is ${(100 * mrr).toFixed(1)} percent.` : "";
  return [element("div", { class: "start" },
    element("h1", {}, about.source),
    element("p", { class: "lead" },
      `A ${about.kind} of ${about.entities.toLocaleString("en")} entities that answers by ${how}.${quality}`),
    element("table", {},
      element("thead", {}, element("tr", {}, ["source", "entities", "facts"].map((x) => element("th", { scope: "col" }, x)))),
      element("tbody", {}, rows)),
    element("p", { class: "soft small" }, "Search above, or begin with one of these"),
    element("div", { class: "tries" }, about.examples.map((x) => element("a", { href: entityPlace(x.name) }, x.label))))];
}

/** Say what went wrong, and what can be done. */
function failure(error) {
  const parts = [element("h1", {}, error.status === 404 ? "Not found" : error.status === 401 ? "A token, please" : "That did not work"),
    element("p", {}, error.message)];
  if (error.status === 401) {
    const field = element("input", { id: "token", type: "password", autocomplete: "off" });
    const form = element("form", { class: "token" },
      element("label", { for: "token" }, "Token"), field, element("button", { type: "submit" }, "Use it"));
    form.addEventListener("submit", (event) => { event.preventDefault(); keepToken(field.value.trim()); route(); });
    parts.push(form);
  } else {
    parts.push(element("button", { onclick: route }, "Try again"));
  }
  return element("div", { class: "notice", role: "alert" }, parts);
}

async function route() {
  const mine = ++shown;
  const [kind, ...names] = location.hash.replace(/^#\/?/, "").split("/");
  content.setAttribute("aria-busy", "true");
  try {
    const parts = names.map(decodeURIComponent);
    const views = { entity: () => showEntity(parts[0] ?? ""), fact: () => showFact(...parts) };
    const [view, title] = await (views[kind] ?? showStart)();
    if (mine === shown) present(view, title);
  } catch (error) {
    if (mine !== shown) return;
    if (error.status === undefined) console.error(error);
    present(failure(error), error.message);
  } finally {
    if (mine === shown) content.removeAttribute("aria-busy");
  }
  if (mine === shown) window.scrollTo(0, 0);
}

enliven(search, document.getElementById("found"));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); content.focus(); });
window.addEventListener("hashchange", async () => { await route(); content.focus({ preventScroll: true }); });
window.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing) { event.preventDefault(); search.focus(); }
});
route();
