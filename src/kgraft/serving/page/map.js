// The map of entities, and the entities similar to one.

import { card, element, entityAddress, percent, shape, shortened } from "./common.js";

const SIZE = 440;
const MARGIN = 22;
const LABELS = 6; // similar entities with a label
const LINE = 15; // height of a label

const across = (x) => MARGIN + ((x + 1) / 2) * (SIZE - 2 * MARGIN);
const down = (y) => across(-y);

/** Return the card with similar entities, on the map and in a list. */
export function mapCard(label, { position: [x, y], neighbours }, { points, explained_variance }) {
  const dots = points.map(([x, y]) => shape("circle", { class: "dot", cx: across(x), cy: down(y), r: 1.6 }));
  const near = neighbours.map(({ name, label, position: [x, y] }) =>
    shape("a", { href: entityAddress(name), "aria-label": label },
      shape("title", {}, label), shape("circle", { class: "near", cx: across(x), cy: down(y), r: 5 })));
  const here = shape("circle", { class: "here", cx: across(x), cy: down(y), r: 7 });
  const labelled = [{ position: [x, y], label, here: true }, ...neighbours.slice(0, LABELS)];
  const map = shape("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": `${label} and similar entities on the map of all entities` },
    dots, near, here, labels(labelled));
  const list = element("ol", { class: "similar" }, neighbours.map(({ name, label, similarity }) =>
    element("li", {}, element("a", { href: entityAddress(name) }, label),
      element("span", { class: "soft" }, similarity.toFixed(2)))));
  const shares = explained_variance.map(percent).join(" and ");
  return card("Similar entities", `By the cosine of their vectors. The map shows all entities along the first two principal components (${shares} of the variance).`,
    element("figure", { class: "map" }, map), list);
}

/** Write labels beside their points, and leave out labels that would cover another. */
function labels(entities) {
  const boxes = [];
  return entities.flatMap(({ position: [x, y], label, here }) => {
    const text = shortened(label, 24);
    const width = 7 * text.length;
    const right = across(x) + 10 + width < SIZE;
    const left = right ? across(x) + 10 : across(x) - 10 - width;
    const top = [0, LINE, -LINE].map((shift) => down(y) + shift).find((top) => top > 8 && top < SIZE - 8
      && !boxes.some((box) => Math.abs(box.top - top) < LINE && left < box.left + box.width && box.left < left + width));
    if (top === undefined) return [];
    boxes.push({ left, top, width });
    const kind = [here && "label-here", !right && "left"].filter(Boolean).join(" ");
    return [shape("text", { x: right ? left : left + width, y: top + 4, class: kind }, text)];
  });
}
