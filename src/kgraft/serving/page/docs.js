// The description of the API, from the server's openapi.json.

import { card, element } from "./common.js";

const BOUNDS = [["minimum", "from"], ["maximum", "to"], ["maxItems", "at most"], ["default", "by default"]];
const MANY = { queries: [{ head: "Syria", relation: "borders" }], k: 3 };

/** Return the view of the API and its title. */
export async function showDocs() {
  const { info, paths, components } = await (await fetch("/openapi.json")).json();
  return [element("article", { class: "docs" }, element("h1", {}, "API"),
    element("p", { class: "soft" }, info.summary, ' Responses are JSON. An error has a status from 400 on and a sentence in "detail". If the server needs a token, send the header "Authorization: Bearer TOKEN". Programs read ',
      element("a", { href: "/openapi.json" }, "openapi.json"), "."),
    Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods)
      .map(([method, operation]) => operationCard(path, method, operation, components.schemas)))), "API"];
}

function operationCard(path, method, { description, parameters = [], requestBody }, schemas) {
  const body = requestBody && schemas[requestBody.content["application/json"].schema.$ref.split("/").pop()];
  const fields = body ? Object.entries(body.properties).map(([name, schema]) =>
    ({ name, schema, required: body.required?.includes(name) })) : parameters;
  const query = new URLSearchParams(parameters.flatMap(({ name, schema }) => (schema.examples ? [[name, schema.examples[0]]] : [])));
  const address = `${location.origin}${path}${query.size ? `?${query}` : ""}`;
  const call = body ? `curl ${address} -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(MANY)}'` : `curl '${address}'`;
  return card(`${method.toUpperCase()} ${path}`, null, element("p", {}, description),
    element("dl", {}, fields.flatMap(({ name, schema, required, description }) => [
      element("dt", {}, required ? name : `${name} (optional)`),
      element("dd", {}, [description ?? schema.description, `(${kind(schema)})`].filter(Boolean).join(" "))])),
    element("pre", { tabindex: "0", "aria-label": "Example" }, call));
}

/** Return a value's type and bounds in words. */
function kind(schema) {
  const type = schema.type ?? schema.anyOf?.map((x) => x.type).filter((x) => x !== "null").join(" or ") ?? "object";
  const bounds = BOUNDS.filter(([name]) => (schema[name] ?? null) !== null).map(([name, word]) => `${word} ${schema[name]}`);
  return [type, ...bounds].join(", ");
}
