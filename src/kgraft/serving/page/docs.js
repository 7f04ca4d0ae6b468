// The description of the API, from the server's openapi.json, with a form to try each path.

import { card, element, modelInfo, requestText } from "./common.js";

const BOUNDS = [["minimum", "from"], ["maximum", "to"], ["maxItems", "at most"], ["default", "by default"]];
const LONGEST = 20_000; // characters of an answer that are shown

/** Return the view of the API and its title. */
export async function showDocs() {
  const [{ info, paths, components }, examples] = await Promise.all([
    fetch("/openapi.json").then((answer) => answer.json()), modelExamples()]);
  return [element("article", { class: "docs" }, element("h1", {}, "API"),
    element("p", { class: "soft" }, info.summary, ' Responses are JSON. An error has a status from 400 on and a sentence in "detail". If the server needs a token, send the header "Authorization: Bearer TOKEN". Programs read ',
      element("a", { href: "/openapi.json" }, "openapi.json"), "."),
    Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods)
      .map(([method, operation]) => operationCard(path, method, operation, components.schemas, examples)))), "API"];
}

/** Return values with which requests have an answer by this model, by the names of parameters. */
async function modelExamples() {
  const { examples, relations } = await modelInfo();
  const entity = examples[0]?.name ?? "", relation = relations[0]?.name ?? "";
  const { facts } = await requestText("entity", { name: entity }).then(({ text }) => JSON.parse(text)).catch(() => ({ facts: [] }));
  const own = (facts ?? []).find((x) => x.head.name === entity && x.tail.queryable && relations.some((y) => y.name === x.relation.name));
  const fact = own ? { head: entity, relation: own.relation.name, tail: own.tail.name } : { head: entity, relation, tail: entity };
  return { fact, entity, name: entity, q: (examples[0]?.label ?? "").slice(0, 3), relation: fact.relation };
}

/** Return an example of a request: parameters of the address, or a body. */
function exampleOf(path, method, parameters, body, { fact, ...values }) {
  if (body) {
    const { head, relation } = fact;
    return { body: {
      "/v1/predict": { queries: [{ head, relation }], k: 3 },
      "/v1/ask": { query: `SELECT ?x WHERE { ${term(head)} ${term(relation)} ?x }`, limit: 5 },
      "/v1/decisions": { ...fact, decision: "none" },
    }[path] ?? {} };
  }
  const named = path === "/v1/predict" ? { head: fact.head, relation: fact.relation } : path === "/v1/explain" ? fact
    : path === "/v1/relation" ? { name: values.relation } : values;
  return { parameters: Object.fromEntries(parameters.filter((x) => x.required || (x.name in named && path !== "/v1/missing")).map((x) => [x.name, named[x.name] ?? ""])) };
}

/** Return a name in SPARQL's notation. */
const term = (name) => (/^[A-Za-z][\w-]*$/.test(name) ? `:${name}` : /[\s<>"{}|^`\\]/.test(name) ? `"${name}"` : `<${name}>`);

function operationCard(path, method, { description, parameters = [], requestBody }, schemas, examples) {
  const body = requestBody && schemas[requestBody.content["application/json"].schema.$ref.split("/").pop()];
  const fields = body ? Object.entries(body.properties).map(([name, schema]) =>
    ({ name, schema, required: body.required?.includes(name) })) : parameters;
  const example = exampleOf(path, method, parameters, body, examples);
  return card(`${method.toUpperCase()} ${path}`, null, element("p", {}, description),
    element("dl", {}, fields.flatMap(({ name, schema, required, description }) => [
      element("dt", {}, required ? name : `${name} (optional)`),
      element("dd", {}, [description ?? schema.description, `(${kind(schema)})`].filter(Boolean).join(" "))])),
    element("pre", { tabindex: "0", role: "region", "aria-label": `Example of ${method.toUpperCase()} ${path}` }, commandLine(path, example)),
    tryIt(path, method, example, fields));
}

/** Return an example as a command line that works as it is shown. */
function commandLine(path, { parameters, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const query = new URLSearchParams(parameters).toString();
  const address = `${location.origin}${path}${query ? `?${query}` : ""}`;
  return body ? `curl ${quoted(address)} -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}` : `curl ${quoted(address)}`;
}

/** Return a form that sends the request and shows its answer. */
function tryIt(path, method, { parameters, body }, fields) {
  const id = `try-${method}${path.replaceAll("/", "-")}`;
  const labelled = (name, field) => element("div", {}, element("label", { for: field.id }, name), field);
  const inputs = body ? [element("textarea", { id: `${id}-body`, rows: "6", spellcheck: "false" }, JSON.stringify(body, null, 2))]
    : fields.map(({ name }) => element("input", { id: `${id}-${name}`, name, value: parameters[name] ?? "", autocomplete: "off", spellcheck: "false" }));
  const answer = element("div", { role: "status" });
  const form = element("form", { class: "try" }, inputs.map((x) => labelled(x.name || "body", x)), element("button", { type: "submit" }, "Send"), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = body ? {} : Object.fromEntries(inputs.filter((x) => x.value !== "").map((x) => [x.name, x.value]));
    try {
      const { status, text } = await requestText(path.replace("/v1/", ""), given, body && { text: inputs[0].value });
      answer.replaceChildren(element("p", { class: "small soft" }, `Status ${status}`),
        element("pre", { tabindex: "0", role: "region", "aria-label": `Answer of ${method.toUpperCase()} ${path}` }, pretty(text)));
    } catch (error) {
      answer.replaceChildren(element("p", { role: "alert" }, error.message));
    }
  });
  return element("details", {}, element("summary", {}, "Try it"), form);
}

/** Return JSON in lines, cut off where it is long. */
function pretty(text) {
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST)}\n… ${shown.length - LONGEST} characters more` : shown;
}

/** Return a value's type and bounds in words. */
function kind(schema) {
  const type = schema.type ?? schema.anyOf?.map((x) => x.type ?? x.enum?.join(" or ")).filter((x) => x && x !== "null").join(" or ") ?? "object";
  const bounds = BOUNDS.filter(([name]) => (schema[name] ?? null) !== null && schema[name]?.length !== 0).map(([name, word]) => `${word} ${schema[name]}`);
  return [schema.enum ? schema.enum.join(", ") : type, ...bounds].join(", ");
}
