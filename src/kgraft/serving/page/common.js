// Elements, addresses and requests, shared by all views.

const SVG = "http://www.w3.org/2000/svg";
const TOKEN = "kgraft-token";

/** Make an HTML element; children are elements or text, never markup. */
export const element = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

/** Make an SVG element. */
export const shape = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return the address of an entity's view. */
export const entityAddress = (name) => `/#/entity/${encodeURIComponent(name)}`;

/** Return the address of a fact's explanation. */
export const factAddress = (...fact) => `/#/fact/${fact.map(encodeURIComponent).join("/")}`;

/** Return the address of a relation's view. */
export const relationAddress = (name) => `/#/relation/${encodeURIComponent(name)}`;

/** An error with its HTTP status, 0 without a response, and a sentence for the user. */
export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

/** Request the API, and return status and text; parameters go into the address, a text makes it a POST. */
export async function requestText(path, parameters = {}, { text, signal } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, signal };
  if (text !== undefined) {
    Object.assign(options, { method: "POST", body: text });
    headers["Content-Type"] = "application/json";
  }
  const response = await fetch(`/v1/${path}?${new URLSearchParams(parameters)}`, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. Is kgraft serve still running?");
  });
  return { status: response.status, text: await response.text() };
}

/** Request the API, and return what it answers. */
export async function request(path, parameters, { body, signal } = {}) {
  const { status, text } = await requestText(path, parameters, { text: body && JSON.stringify(body), signal });
  let content;
  try { content = JSON.parse(text, readable); } catch { content = { detail: "The server's answer is not JSON." }; }
  if (status >= 400) throw new ApiError(status, content.detail);
  return content;
}

/** Return labels, of what has none too, as people read them. */
const readable = (key, value) => (key === "label" && typeof value === "string" ? brief(value)
  : key !== "labels" || !value ? value : Array.isArray(value) ? value.map(brief)
    : Object.fromEntries(Object.entries(value).map(([name, label]) => [name, brief(label)])));

/** Return the end of an IRI or of a blank node's name, and any other label as it is. */
export function brief(label) {
  if (!/^([a-z][a-z0-9+.-]*:\/\/|_:)\S+$/i.test(label)) return label;
  const end = label.replace(/[/#]+$/, "").split(/[/#]/).pop();
  if (label.startsWith("_:")) return `_:${end.replace(/^_:/, "")}`;
  try { return decodeURIComponent(end); } catch { return end; }
}

let info;
/** Return the served model's sources, relations and metrics, requested once. */
export const modelInfo = () => (info ??= request("model").catch((error) => { info = undefined; throw error; }));

/** Show sources, the target in its own colour. */
export const chips = (sources, target) => element("span", { class: "chips" }, sources.map((source) =>
  element("span", { class: source === target ? "chip target" : "chip" }, source)));

/** A card with a heading and a sentence about its content. */
export const card = (title, lead, ...children) => element("section", { class: "card" },
  element("h2", {}, title), lead ? element("p", { class: "lead" }, lead) : null, ...children);

/** Draw a share as a bar. */
export const bar = (share) => element("span", { class: "bar", "aria-hidden": "true" },
  shape("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" },
    shape("rect", { x: 0, y: 0, width: 100 * share, height: 6 })));

/** Write a probability in percent. */
export function percent(share) {
  if (share >= 0.9995) return ">\u00a099.9\u00a0%";
  if (share < 0.001) return "<\u00a00.1\u00a0%";
  return `${(100 * share).toFixed(share < 0.1 || share > 0.99 ? 1 : 0)}\u00a0%`;
}

export const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

export const grouped = (number) => number.toLocaleString("en");
