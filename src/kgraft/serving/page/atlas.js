// The map: entities where their vectors differ most, and the neighbours of one.

import { brief, card, element, entityPlace, percent, shape } from "./parts.js";

const SIZE = 440;
const EDGE = 22;
const LABELLED = 6;
const LINE = 15; // the height of a label

/** Return the card with an entity's neighbours, on the map and in a list. */
export function showMap(label, { position, neighbours }, { points, explained_variance }) {
  const at = (value) => EDGE + ((value + 1) / 2) * (SIZE - 2 * EDGE);
  const dots = points.map(([left, up]) => shape("circle", { class: "dot", cx: at(left), cy: at(-up), r: 1.6 }));
  const near = neighbours.map((neighbour) =>
    shape("a", { href: entityPlace(neighbour.name), "aria-label": neighbour.label },
      shape("title", {}, neighbour.label),
      shape("circle", { class: "near", cx: at(neighbour.position[0]), cy: at(-neighbour.position[1]), r: 5 })));
  const here = shape("circle", { class: "here", cx: at(position[0]), cy: at(-position[1]), r: 7 });
  const named = [{ position, label, own: true }, ...neighbours.slice(0, LABELLED)];
  const drawing = shape("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": `${label} and its neighbours on the map of all entities` },
    dots, near, here, labels(named, at));
  const shares = explained_variance.map(percent).join(" and ");
  const list = element("ol", { class: "alike" }, neighbours.map((neighbour) =>
    element("li", {}, element("a", { href: entityPlace(neighbour.name) }, neighbour.label),
      element("span", { class: "soft" }, neighbour.similarity.toFixed(2)))));
  return card("Neighbours", `The most similar vectors, on a map of the two directions in which all differ most (${shares} of the variance).`,
    element("figure", { class: "map" }, drawing), list);
}

/** Write labels beside their points, each where no earlier one stands; one without room is left out. */
function labels(named, at) {
  const taken = [];
  return named.flatMap(({ position: [x, y], label, own }) => {
    const text = brief(label, 24);
    const width = 7 * text.length;
    const right = at(x) + 10 + width < SIZE;
    const left = right ? at(x) + 10 : at(x) - 10 - width;
    const tops = [0, LINE, -LINE].map((shift) => at(-y) + shift);
    const top = tops.find((y0) => y0 > 8 && y0 < SIZE - 8 && !taken.some((box) =>
      Math.abs(box.top - y0) < LINE && left < box.left + box.width && box.left < left + width));
    if (top === undefined) return [];
    taken.push({ left, top, width });
    const kind = [own && "of-here", !right && "left"].filter(Boolean).join(" ");
    return [shape("text", { x: right ? left : at(x) - 10, y: top + 4, class: kind }, text)];
  });
}
