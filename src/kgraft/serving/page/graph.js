// Facts as a graph that can be dragged and extended: Cytoscape.js draws it, Dagre places it.
// A relation is a box of its own between two entities, so that no label lies on another.

import { element, entityAddress, request, shortened } from "./common.js";

const BOLD = 600; // weight of the labels of a fact's ends
const TEXT = 13; // size of a label
const PADDING = 18; // around a label, both sides together
const GAP = 12; // least distance of two boxes
const MORE = 6; // facts that an entity is extended by at once
const LONGEST = 40; // letters of a label
const SMALLEST = 0.8; // least scale at which a graph is shown whole

let libraries;
/** Load the two libraries, once. */
const loaded = () => (libraries ??= (() => {
  // Cytoscape would write a style sheet into the page, which the page's policy forbids; style.css has it.
  document.head.append(element("meta", { id: "__________cytoscape_stylesheet" }));
  return Promise.all([import("/page/vendor/cytoscape.esm.min.mjs"), import("/page/vendor/dagre.esm.js")]);
})());

/** A kind of fact: stated by the target, by other sources, or predicted. */
export const kindOf = (fact, target) => (!fact.stated_by.length ? "predicted" : fact.stated_by.includes(target) ? "target" : "background");

/**
 * Return a figure with facts as a graph.
 *
 * @param facts Objects with names and labels of head, relation and tail, and a kind.
 * @param options ends: names of the entities that matter most; words: the same for screen readers.
 */
export function graphFigure(facts, { ends, target, words }) {
  const canvas = element("div", { class: "canvas", role: "img", "aria-label": words });
  const status = element("p", { class: "small soft", role: "status" });
  const choice = element("select", { "aria-label": "Entity of the drawing" });
  const open = element("a", { class: "button", href: entityAddress(ends[0]) }, "Open it");
  const extend = element("button", { type: "button" }, "Show more of its facts");
  const zooms = [["+", "Zoom in", 1.25], ["−", "Zoom out", 0.8], ["Fit", "Fit the whole drawing", 0]].map(([text, label, factor]) =>
    element("button", { type: "button", "aria-label": label, "data-factor": factor }, text));
  const figure = element("figure", { class: "drawing" }, canvas,
    element("div", { class: "tools" }, choice, extend, open, element("span", { class: "zooms" }, zooms)), status);
  start({ facts: [...facts], ends, target, canvas, status, choice, open, extend, zooms }).catch((error) => {
    canvas.replaceChildren(element("p", { class: "soft" }, `The drawing failed: ${error.message}. The lists have the same in words.`));
  });
  return figure;
}

async function start(parts) {
  const [{ default: cytoscape }, dagre] = await loaded();
  await new Promise((done) => requestAnimationFrame(done)); // until the figure has a width
  const { canvas, choice, open, extend, zooms } = parts;
  const wide = canvas.clientWidth > 620;
  const graph = cytoscape({
    container: canvas, style: styleOf(canvas), layout: { name: "preset" }, minZoom: 0.3, maxZoom: 2.5,
    boxSelectionEnabled: false, selectionType: "single", elements: [],
  });
  const place = (animated) => layOut(graph, dagre, { wide, canvas, animated });
  const chosen = () => choice.value;
  const choose = (name) => {
    choice.value = name;
    open.setAttribute("href", entityAddress(name));
    graph.nodes().unselect();
    graph.getElementById(name).select();
  };
  const add = (facts) => {
    addFacts(graph, facts, parts, wide);
    choice.replaceChildren(...graph.nodes(".entity").map((node) => element("option", { value: node.id() }, node.data("whole"))));
  };
  add(parts.facts);
  choose(parts.ends[0]);
  place(false);
  const extended = async () => {
    const name = chosen();
    try {
      const more = await moreFacts(name, parts);
      parts.facts.push(...more.facts);
      add(more.facts);
      choose(name);
      if (more.facts.length) place(true);
      parts.status.textContent = more.sentence;
    } catch (error) {
      parts.status.textContent = error.message;
    }
  };
  choice.addEventListener("change", () => choose(choice.value));
  extend.addEventListener("click", extended);
  graph.on("tap", "node.entity", (event) => choose(event.target.id()));
  graph.on("dbltap", "node.entity", extended);
  graph.on("dragfree", "node", (event) => settle(graph, event.target));
  for (const button of zooms) button.addEventListener("click", () => zoom(graph, canvas, Number(button.dataset.factor)));
  // A wheel over the drawing scrolls the page; with Ctrl, or two fingers, it zooms.
  canvas.addEventListener("wheel", (event) => { if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); }, { capture: true });
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", () => graph.style(styleOf(canvas)));
}

/** Add facts, and the entities at their ends, that are not drawn yet. */
function addFacts(graph, facts, { ends, target }, wide) {
  for (const { names: [head, relation, tail], labels, kind, stated_by } of facts) {
    for (const [name, label] of [[head, labels[0]], [tail, labels[2]]]) {
      if (graph.getElementById(name).nonempty()) continue;
      const box = boxed(label, wide ? 24 : 13, ends.includes(name) ? BOLD : 400);
      graph.add({ group: "nodes", classes: ends.includes(name) ? "entity end" : "entity", data: { id: name, whole: label, ...box } });
    }
    const id = `${head}\n${relation}\n${tail}`;
    if (graph.getElementById(id).nonempty()) continue;
    const box = boxed(labels[1].split("/").pop(), wide ? 24 : 13);
    graph.add([
      { group: "nodes", classes: `fact ${kind}`, data: { id, by: stated_by.join(", ") || target, ...box } },
      { group: "edges", classes: kind, data: { id: `${id}\n0`, source: head, target: id } },
      { group: "edges", classes: `${kind} last`, data: { id: `${id}\n1`, source: id, target: tail } },
    ]);
  }
}

/** Return the facts of an entity that are not drawn yet, and a sentence about them. */
async function moreFacts(name, { facts, target }) {
  const found = await request("entity", { name });
  const drawn = new Set(facts.map((x) => x.names.join("\n")));
  const known = new Set(facts.flatMap((x) => [x.names[0], x.names[2]]));
  const left = found.facts.map(({ head, relation, tail, stated_by }) => ({
    names: [head.name, relation.name, tail.name], labels: [head.label, relation.label, tail.label], stated_by,
    kind: kindOf({ stated_by }, target),
  })).filter((x) => !drawn.has(x.names.join("\n")));
  // Facts that join what is drawn come first.
  left.sort((one, other) => known.has(other.names[0]) + known.has(other.names[2]) - known.has(one.names[0]) - known.has(one.names[2]));
  const rest = left.length - Math.min(MORE, left.length);
  const sentence = !left.length ? `All stated facts of ${found.label} are drawn.`
    : `${Math.min(MORE, left.length)} facts of ${found.label} were added${rest ? `; ${rest} are left` : ""}.`;
  return { facts: left.slice(0, MORE), sentence };
}

const pen = document.createElement("canvas").getContext("2d");

/** Return a label, broken into lines, and the size of its box. */
function boxed(text, letters, weight = 400) {
  const lines = [];
  for (const word of shortened(text, LONGEST).split(/(?<=\s|[^_]_)|(?=[A-Z][a-z]{2,})/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length <= letters) lines[lines.length - 1] += word;
    else for (let from = 0; from < word.length; from += letters) lines.push(word.slice(from, from + letters));
  }
  pen.font = `${weight} ${TEXT}px ${getComputedStyle(document.body).fontFamily}`;
  const width = Math.max(26, ...lines.map((line) => pen.measureText(line.trim()).width)) + PADDING;
  return { label: lines.map((line) => line.trim()).join("\n"), width: Math.ceil(width), height: lines.length * TEXT * 1.3 + 10 };
}

/** Place all boxes in ranks, and show the graph as large as it fits. */
function layOut(graph, dagre, { wide, canvas, animated }) {
  const plan = new dagre.Graph({ multigraph: true });
  plan.setGraph({ rankdir: wide ? "LR" : "TB", nodesep: GAP, ranksep: wide ? 26 : 20, edgesep: GAP });
  plan.setDefaultEdgeLabel(() => ({}));
  graph.nodes().forEach((node) => plan.setNode(node.id(), { width: node.data("width"), height: node.data("height") }));
  graph.edges().forEach((edge) => plan.setEdge(edge.source().id(), edge.target().id(), {}, edge.id()));
  dagre.layout(plan);
  const { width, height } = plan.graph();
  const space = canvas.clientWidth - 2 * GAP;
  const scale = Math.min(1, Math.max(SMALLEST, space / width));
  canvas.style.height = `${Math.min(Math.max(height * scale + 2 * GAP, 120), 620)}px`;
  graph.resize();
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  graph.layout({
    name: "preset", fit: false, animate: animated && !still, animationDuration: 250,
    positions: (node) => { const { x, y } = plan.node(node.id()); return { x, y }; },
  }).run();
  const left = Math.max(GAP, (canvas.clientWidth - width * scale) / 2);
  graph.viewport({ zoom: scale, pan: { x: left, y: GAP } });
}

/** Zoom about the middle; 0 shows the whole graph. */
function zoom(graph, canvas, factor) {
  if (!factor) graph.fit(undefined, GAP);
  else graph.zoom({ level: graph.zoom() * factor, renderedPosition: { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 } });
}

/** Move a box that was dragged onto others to the nearest free place. */
function settle(graph, dragged) {
  const boxes = graph.nodes().filter((node) => node !== dragged).map((node) => ({ ...node.position(), width: node.data("width"), height: node.data("height") }));
  const { x, y } = dragged.position(), width = dragged.data("width"), height = dragged.data("height");
  const isFree = (place) => boxes.every((box) => Math.abs(box.x - place.x) >= (box.width + width + GAP) / 2 || Math.abs(box.y - place.y) >= (box.height + height + GAP) / 2);
  for (let radius = 0; radius < 2000; radius += GAP / 2) {
    const places = Array.from({ length: 16 }, (_, at) => ({ x: x + radius * Math.cos(at * Math.PI / 8), y: y + radius * Math.sin(at * Math.PI / 8) }));
    const free = places.find(isFree);
    if (free) { dragged.position(free); return; }
  }
}

/** Return Cytoscape's style, in the colours of the page. */
function styleOf(canvas) {
  const computed = getComputedStyle(canvas);
  const colour = (name) => computed.getPropertyValue(`--${name}`).trim();
  const kinds = [["target", colour("target")], ["background", colour("background")], ["predicted", colour("ink")]];
  return [
    { selector: "node", style: { shape: "round-rectangle", width: "data(width)", height: "data(height)", label: "data(label)",
      "text-wrap": "wrap", "text-valign": "center", "text-halign": "center", "font-size": TEXT, "font-family": computed.fontFamily,
      "line-height": 1.25, color: colour("ink"), "background-color": colour("card"), "border-width": 1.5, "border-color": colour("line") } },
    { selector: "node.entity", style: { "border-color": colour("soft") } },
    { selector: "node.end", style: { "background-color": colour("target-tint"), "border-color": colour("target"), "font-weight": BOLD } },
    { selector: "node.fact", style: { "border-width": 0, color: colour("soft") } },
    { selector: "node:selected", style: { "border-width": 3, "border-color": colour("focus") } },
    { selector: "edge", style: { width: 2, "curve-style": "straight" } },
    { selector: "edge.last", style: { "target-arrow-shape": "triangle" } },
    ...kinds.map(([kind, ink]) => ({ selector: `edge.${kind}`, style: { "line-color": ink, "target-arrow-color": ink } })),
    { selector: "edge.predicted", style: { width: 2.5, "line-style": "dashed" } },
    ...kinds.map(([kind, ink]) => ({ selector: `node.fact.${kind}`, style: { color: ink } })),
  ];
}
