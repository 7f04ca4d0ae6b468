// The search field: a combobox whose list comes from the server.

import { ask, element, entityPlace } from "./parts.js";

const PAUSE = 90; // milliseconds without a key after which the server is asked

/** Make the search field work. */
export function enliven(input, list) {
  let asked; // the request under way
  let timer;
  let options = [];
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
    location.hash = entityPlace(entity.name);
  };
  const mark = (place) => {
    active = place;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === place));
    if (place < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `found-${place}`);
    list.children[place].scrollIntoView({ block: "nearest" });
  };
  const show = (entities) => {
    options = entities;
    const items = entities.map((entity, at) => {
      const name = entity.name === entity.label ? null : element("span", { class: "name" }, entity.name);
      const item = element("li", { id: `found-${at}`, role: "option", "aria-selected": "false" }, entity.label, name);
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); open(entity); });
      return item;
    });
    const none = element("li", { class: "none", role: "option", "aria-disabled": "true" }, "Nothing is called so.");
    list.replaceChildren(...(items.length ? items : [none]));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(items.length ? 0 : -1);
  };
  const look = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const found = await ask("entities", { q: input.value, limit: 8 }, { signal: asked.signal });
      show(found.entities);
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren(element("li", { class: "none", role: "option", "aria-disabled": "true" }, error.message));
      list.hidden = false;
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    asked?.abort();
    options = [];
    if (input.value.trim()) timer = setTimeout(look, PAUSE);
    else close();
  });
  input.addEventListener("keydown", async (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && input.value.trim()) {
      clearTimeout(timer);
      if (!options.length) await look();
      if (options.length) open(options[Math.max(active, 0)]);
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && options.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark((active + step + options.length) % options.length);
    }
  });
  input.addEventListener("blur", close);
}
