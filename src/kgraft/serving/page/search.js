// The search field: a combobox with a list of entities from the server.

import { element, entityAddress, request } from "./common.js";

const PAUSE = 90; // milliseconds without a key before a request
const LIMIT = 8; // entities in the list

/** Connect the search field with its list. */
export function startSearch(input, list) {
  let pending; // aborts the current request
  let timer;
  let entities = [];
  let active = -1;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const open = (entity) => {
    close();
    input.value = "";
    input.blur();
    location.assign(entityAddress(entity.name));
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
  const option = (entity, at) => {
    const name = entity.name === entity.label ? null : element("span", { class: "name" }, entity.name);
    const item = element("li", { id: `found-${at}`, role: "option", "aria-selected": "false" }, entity.label, name);
    item.addEventListener("pointerdown", (event) => { event.preventDefault(); open(entity); });
    return item;
  };
  const find = async () => {
    pending?.abort();
    pending = new AbortController();
    try {
      ({ entities } = await request("entities", { q: input.value, limit: LIMIT }, { signal: pending.signal }));
      if (!entities.length) return message("No entity found.");
      show(entities.map(option));
      mark(0);
    } catch (error) {
      if (error.name !== "AbortError") message(error.message);
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    pending?.abort();
    entities = [];
    if (input.value.trim()) timer = setTimeout(find, PAUSE);
    else close();
  });
  input.addEventListener("keydown", async (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && input.value.trim()) {
      clearTimeout(timer);
      if (!entities.length) await find();
      if (entities.length) open(entities[Math.max(active, 0)]);
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && entities.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark((active + step + entities.length) % entities.length);
    }
  });
  input.addEventListener("blur", close);
}
