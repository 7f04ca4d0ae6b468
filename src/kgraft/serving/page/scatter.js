// Entities as points that can be zoomed into: Sigma.js draws them by WebGL.

import { element, request } from "./common.js";

const SMALL = 2.2, LARGE = 7, HERE = 10; // sizes of points
const LETTER = 6.6; // width of a letter of a label
const LINE = 16; // height of a label
const COLOURS = 8; // groups with a colour of their own, --g0 to --g7 of style.css

let places;
/** Return the map of all entities, requested once. */
export const mapOfAll = () => (places ??= request("map").catch((error) => { places = undefined; throw error; }));

let libraries;
/** Load the two libraries, once; they are scripts that set a name each. */
const loaded = () => (libraries ??= ["graphology.umd.min.js", "sigma.min.js"].reduce((before, name) => before.then(() => new Promise((done, fail) => {
  const script = element("script", { src: `/page/vendor/${name}` });
  script.addEventListener("load", done);
  script.addEventListener("error", () => fail(new Error(`${name} could not be loaded`)));
  document.head.append(script);
})), Promise.resolve()));

/** Return true where the browser can draw by WebGL. */
export function canDraw() {
  const context = document.createElement("canvas").getContext("webgl2");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

/**
 * Return a figure of points, and a function that colours them anew.
 *
 * @param points Objects with name, label, position, weight and optionally group or a mark: "here" or "near".
 * @param options words: a sentence for screen readers; open: called with the name of a point that is clicked;
 *   wheel: whether a wheel zooms without Ctrl.
 */
export function scatter(points, { words, open, wheel = false }) {
  const canvas = element("div", { class: "canvas scatter", role: "img", "aria-label": words });
  const zooms = [["+", "Zoom in", 1 / 1.5], ["−", "Zoom out", 1.5], ["Fit", "Fit the whole map", 0]].map(([text, label, factor]) =>
    element("button", { type: "button", "aria-label": label, "data-factor": factor }, text));
  const note = element("span", { class: "small soft" });
  const figure = element("figure", { class: "map" }, canvas, element("div", { class: "tools" }, note, element("span", { class: "zooms" }, zooms)));
  if (!canDraw()) {
    canvas.replaceWith(element("p", { class: "soft" }, "This browser draws no WebGL, so the map is left out. The list has the same in words."));
    figure.querySelector(".tools").remove();
    return { figure, recolour: () => {} };
  }
  const drawn = start(points, { canvas, zooms, note, open, wheel });
  drawn.catch((error) => canvas.replaceChildren(element("p", { class: "soft" }, `The map failed: ${error.message}.`)));
  return { figure, recolour: async (groups) => (await drawn)?.(groups) };
}

/** Wait until an element has a width, as one that is shown gets sooner or later. */
const sized = (canvas) => new Promise((done) => {
  const observer = new ResizeObserver(() => {
    if (!canvas.clientWidth) return;
    observer.disconnect();
    done();
  });
  observer.observe(canvas);
});

async function start(points, { canvas, zooms, note, open, wheel }) {
  await loaded();
  await sized(canvas);
  if (!canvas.isConnected) return null;
  const graph = new window.graphology.Graph();
  const heaviest = Math.log1p(Math.max(1, ...points.map((x) => x.weight ?? 0)));
  for (const { name, label, position: [x, y], weight = 0, mark } of points) {
    const size = mark === "here" ? HERE : mark === "near" ? LARGE : SMALL + (LARGE - SMALL) * (Math.log1p(weight) / heaviest) ** 2;
    graph.mergeNode(name, { x, y, size, label, mark, forceLabel: mark !== undefined, zIndex: mark === "here" ? 3 : mark ? 2 : 1 });
  }
  let colours, taken = [];
  const readColours = () => {
    const computed = getComputedStyle(canvas);
    const colour = (name) => computed.getPropertyValue(`--${name}`).trim();
    colours = { ink: colour("ink"), card: colour("card"), soft: colour("faint"), near: colour("target"), here: colour("background"),
      groups: Array.from({ length: COLOURS }, (_, at) => colour(`g${at}`)), font: computed.fontFamily };
  };
  readColours();
  /** Write a label beside its point, unless it would lie on another one. */
  const drawLabel = (context, { x, y, size, label, mark, hovered }) => {
    if (!label) return;
    const text = label.length > 28 ? `${label.slice(0, 27)}…` : label;
    const length = LETTER * text.length;
    const left = x + size + 4 + length < canvas.clientWidth ? x + size + 4 : x - size - 4 - length;
    const box = [left - 2, y - LINE / 2, left + length + 2, y + LINE / 2];
    if (!hovered && taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return;
    taken.push(box);
    Object.assign(context, { font: `${mark === "here" || hovered ? 650 : 400} 12px ${colours.font}`, lineWidth: 4, lineJoin: "round", strokeStyle: colours.card, fillStyle: colours.ink });
    context.strokeText(text, left, y + 4);
    context.fillText(text, left, y + 4);
  };
  const renderer = new window.Sigma(graph, canvas, {
    defaultDrawNodeLabel: drawLabel,
    defaultDrawNodeHover: (context, data) => {
      context.beginPath();
      context.arc(data.x, data.y, data.size + 3, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: colours.ink, lineWidth: 1.5 });
      context.stroke();
      drawLabel(context, { ...data, hovered: true });
    },
    labelDensity: 0.8, labelGridCellSize: 120, labelRenderedSizeThreshold: 5, zIndex: true, stagePadding: 24,
    minCameraRatio: 0.01, maxCameraRatio: 1.5,
  });
  renderer.on("beforeRender", () => { taken = []; });
  let groups;
  const recolour = (found) => {
    groups = found;
    graph.updateEachNodeAttributes((name, x) => ({ ...x,
      color: x.mark ? colours[x.mark] : groups ? colours.groups[Math.min(groups.get(name) ?? COLOURS, COLOURS - 1)] : colours.soft }));
  };
  recolour();
  renderer.on("clickNode", ({ node }) => open(node));
  renderer.on("enterNode", ({ node }) => { canvas.classList.add("over"); note.textContent = graph.getNodeAttribute(node, "label"); });
  renderer.on("leaveNode", () => { canvas.classList.remove("over"); note.textContent = ""; });
  for (const button of zooms) {
    button.addEventListener("click", () => {
      const camera = renderer.getCamera(), factor = Number(button.dataset.factor);
      const goal = factor ? { ratio: camera.ratio * factor } : { x: 0.5, y: 0.5, ratio: 1, angle: 0 };
      camera.animate(goal, { duration: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 200 });
    });
  }
  if (!wheel) canvas.addEventListener("wheel", (event) => { if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); }, { capture: true });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); recolour(groups); });
  window.addEventListener("hashchange", () => renderer.kill(), { once: true }); // frees its WebGL context
  return recolour;
}
