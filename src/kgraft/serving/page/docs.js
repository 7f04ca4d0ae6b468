// The description of the API, read from the server's own openapi.json.

import { element } from "./parts.js";

const content = document.getElementById("content");

/** Say in a word what a value is. */
function kind(schema = {}) {
  const found = schema.type ?? schema.anyOf?.map((x) => x.type).filter((x) => x !== "null").join(" or ") ?? "object";
  const bounds = [["minimum", "from"], ["maximum", "to"], ["maxItems", "at most"], ["default", "by default"]]
    .filter(([name]) => schema[name] !== undefined && schema[name] !== null).map(([name, word]) => `${word} ${schema[name]}`);
  return [found, ...bounds].join(", ");
}

const EXAMPLE = { queries: [{ head: "HEAD", relation: "RELATION" }], k: 3 };

function described(path, method, operation, schemas) {
  const parameters = (operation.parameters ?? []).map((x) => ({ ...x, required: x.required }));
  const body = operation.requestBody?.content["application/json"].schema.$ref?.split("/").pop();
  const fields = body ? Object.entries(schemas[body].properties).map(([name, schema]) =>
    ({ name, schema, description: schema.description, required: schemas[body].required?.includes(name) })) : parameters;
  const needed = parameters.filter((x) => x.required).map((x) => `${x.name}=${x.name.toUpperCase()}`).join("&");
  const call = body ? `curl ${location.origin}${path} -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(EXAMPLE)}'`
    : `curl '${location.origin}${path}${needed ? `?${needed}` : ""}'`;
  return element("section", { class: "card" },
    element("h2", {}, `${method.toUpperCase()} ${path}`), element("p", {}, operation.description),
    element("dl", {}, fields.flatMap((x) => [
      element("dt", {}, x.required ? x.name : `${x.name} (optional)`),
      element("dd", {}, [x.description ?? x.schema.description, kind(x.schema)].filter(Boolean).join(" "))])),
    element("pre", { tabindex: "0", "aria-label": "Example" }, call));
}

try {
  const api = await (await fetch("/openapi.json")).json();
  const parts = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods)
    .map(([method, operation]) => described(path, method, operation, api.components.schemas)));
  content.replaceChildren(element("h1", {}, "API"),
    element("p", { class: "soft" }, `${api.info.summary} Answers are JSON; what cannot be answered has a status of 4xx or 503 and says why in "detail". Where the server asks for a token, send it as "Authorization: Bearer TOKEN".`),
    ...parts);
} catch (error) {
  content.replaceChildren(element("p", { class: "notice", role: "alert" }, `The description cannot be read: ${error.message}`));
}
