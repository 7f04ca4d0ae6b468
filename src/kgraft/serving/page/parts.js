// What all views are made of: elements, addresses, and requests.

const SVG = "http://www.w3.org/2000/svg";
const TOKEN = "kgraft-token";

/** Make an element; children are elements or text, never markup. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make an element of a drawing. */
export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return the address of an entity's view. */
export const entityPlace = (name) => `#/entity/${encodeURIComponent(name)}`;

/** Return the address of a fact's explanation. */
export const factPlace = (head, relation, tail) =>
  `#/fact/${[head, relation, tail].map(encodeURIComponent).join("/")}`;

/** Why there is no answer, in a sentence that the server has written. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

/** Ask the API; parameters go into the address, a body makes it a POST. */
export async function ask(path, parameters = {}, { body, signal } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, signal };
  if (body) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(`/v1/${path}?${new URLSearchParams(parameters)}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server does not answer. Is kgraft serve still running?");
  }
  const content = await answer.json().catch(() => ({ detail: "The server's answer is no JSON." }));
  if (!answer.ok) throw new Refusal(answer.status, content.detail);
  return content;
}

let about;
/** Return what is served, asked for once. */
export const aboutModel = () => (about ??= ask("model").catch((error) => { about = undefined; throw error; }));

/** Name the sources of something, the target in its own colour. */
export function chips(sources, target) {
  return element("span", { class: "chips" }, sources.map((source) =>
    element("span", { class: source === target ? "chip target" : "chip" }, source)));
}

/** A card with a heading and a line about what it shows. */
export function card(title, lead, ...children) {
  return element("section", { class: "card" }, element("h2", {}, title),
    lead ? element("p", { class: "lead" }, lead) : null, ...children);
}

/** A probability as people read it. */
export function percent(share) {
  if (share >= 0.9995) return "> 99.9 %";
  if (share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(share < 0.1 || share > 0.99 ? 1 : 0)} %`;
}

/** A number shortened. */
export const brief = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
