// The search field: a combobox with a list of entities from the server, and of relations.

import { element, entityAddress, modelInfo, relationAddress, request } from "./common.js";
import { queryAddress } from "./ask.js";

const PAUSE = 90; // milliseconds without a key before a request
const LIMIT = 8; // entities in the list
const RELATIONS = 3; // relations in it

/** Connect the search field with its list. */
export function startSearch(input, list) {
  let pending; // aborts the current request
  let timer;
  let found = []; // objects with a label, a kind and the address of a view
  let active = -1;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const open = ({ address }) => {
    close();
    input.value = "";
    input.blur();
    location.assign(address);
  };
  const mark = (place) => {
    active = place;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === place));
    input.setAttribute("aria-activedescendant", `found-${place}`);
    list.children[place].scrollIntoView({ block: "nearest" });
  };
  const show = (items) => {
    list.replaceChildren(...items);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  };
  const message = (text) => show([element("li", { class: "none", role: "option", "aria-disabled": "true" }, text)]);
  const option = (x, at) => {
    const item = element("li", { id: `found-${at}`, role: "option", "aria-selected": "false" }, x.label,
      x.kind ? element("span", { class: "what" }, x.kind) : null, x.name && x.name !== x.label ? element("span", { class: "name" }, x.name) : null);
    item.addEventListener("pointerdown", (event) => { event.preventDefault(); open(x); });
    return item;
  };
  const find = async () => {
    pending?.abort();
    pending = new AbortController();
    const text = input.value.trim();
    try {
      const [{ relations }, { entities }] = await Promise.all([modelInfo(), request("entities", { q: text, limit: LIMIT }, { signal: pending.signal })]);
      const along = relations.filter((x) => x.label.toLowerCase().includes(text.toLowerCase())).slice(0, RELATIONS);
      found = [
        ...entities.map((x) => ({ ...x, address: entityAddress(x.name) })),
        ...along.map((x) => ({ ...x, kind: "relation", address: relationAddress(x.name) })),
        ...(/\s|\?/.test(text) ? [{ label: text, kind: "ask this", address: queryAddress(text) }] : []),
      ];
      if (!found.length) return message("No entity or relation found. The beginning of any word of its name is enough.");
      show(found.map(option));
      mark(0);
    } catch (error) {
      if (error.name !== "AbortError") message(error.message);
    }
  };
  /** Show what one may begin with, before anything is typed. */
  const suggest = async () => {
    const info = await modelInfo().catch(() => null);
    if (!info || input.value.trim() || document.activeElement !== input) return;
    found = info.examples.slice(0, LIMIT).map((x) => ({ ...x, address: entityAddress(x.name) }));
    if (found.length) show(found.map(option));
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    pending?.abort();
    found = [];
    if (input.value.trim()) timer = setTimeout(find, PAUSE);
    else { close(); suggest(); }
  });
  input.addEventListener("focus", suggest);
  input.addEventListener("keydown", async (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (input.value.trim() || active >= 0)) {
      clearTimeout(timer);
      if (!found.length) await find();
      if (found.length) open(found[Math.max(active, 0)]);
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(active < 0 ? (step > 0 ? 0 : found.length - 1) : (active + step + found.length) % found.length);
    }
  });
  input.addEventListener("blur", close);
}
