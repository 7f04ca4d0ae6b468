// An explanation as a small graph: each entity once in the target's colour and, if facts of other
// sources name it, once in theirs; a dashed line joins the two.

import { shape, shortened } from "./common.js";

const REASONS = 3; // reasons drawn
const BETWEEN = 6; // most entities between head and tail
/** Height of a box. */
export const HEIGHT = 34;
const TIP = 9; // length of an arrow's tip
const LINE = 84; // from one box to the next in a narrow drawing
const NARROW = 340; // width of a narrow drawing

/** Return the drawing; on a narrow screen it runs from top to bottom. */
export function draw(found, target) {
  const facts = drawnFacts(found);
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const boxes = placedBoxes(found, facts, target, narrow);
  const at = (layer, name) => boxes.get(`${layer}\n${name}`);
  const direct = facts.every(({ names }) => joinsEnds(found, names));
  const most = narrow ? NARROW : Infinity;
  const [bend, up] = narrow ? [direct ? -1 : -2, -1] : [0.7, 0];
  const predicted = edge(at("target", found.head), at("target", found.tail), found.labels[1], "predicted", bend, up, most);
  const parallel = new Map(); // edges so far between the same two boxes
  const edges = facts.map((fact) => {
    const layer = layerOf(fact, target);
    const [head, , tail] = fact.names;
    const pair = [layer, ...[head, tail].sort()].join("\n");
    const number = parallel.get(pair) ?? 0;
    parallel.set(pair, number + 1);
    const [from, to] = [at(layer, head), at(layer, tail)];
    const bend = narrow ? narrowBend(found, fact, from, to, number, direct) : number;
    return edge(from, to, fact.relation, layer, bend, number, most);
  });
  const all = [...boxes.values()];
  const links = all.filter((box) => box.layer === "background" && at("target", box.name))
    .map((box) => link(at("target", box.name), box));
  const width = narrow ? NARROW : Math.max(...all.map((box) => box.x + box.width / 2)) + 20;
  const height = Math.max(...all.map((box) => box.y)) + HEIGHT + 20;
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(found, facts) },
    links, edges.map((x) => x.line), predicted.line, all.map(boxShape), [...edges, predicted].map((x) => x.text));
}

/** Return the facts to draw: statements of other sources, then those of the first rules and paths. */
function drawnFacts({ head, relation, tail, labels, stated_by, supports, rules, paths }) {
  const sources = stated_by.map((x) => x.source).filter((x) => supports.some((y) => y.source === x));
  const facts = new Map();
  const add = (fact) => { if (!facts.has(keyOf(fact))) facts.set(keyOf(fact), fact); };
  if (sources.length) add({ names: [head, relation, tail], head: labels[0], relation: labels[1], tail: labels[2], stated_by: sources });
  const between = new Set();
  let drawn = 0;
  for (const reason of [...rules, ...paths].map((x) => x.facts)) {
    const others = reason.flatMap(({ names }) => [names[0], names[2]]).filter((x) => x !== head && x !== tail);
    const isNew = reason.some((fact) => !facts.has(keyOf(fact)));
    if (drawn === REASONS || !isNew || new Set([...between, ...others]).size > BETWEEN) continue;
    drawn += 1;
    others.forEach((x) => between.add(x));
    reason.forEach(add);
  }
  return [...facts.values()];
}

/** A key that a fact shares with its inverse, so that one of them is drawn. */
const keyOf = ({ names: [head, relation, tail] }) => [relation, ...[head, tail].sort()].join("\n");

const layerOf = (fact, target) => (fact.stated_by.includes(target) ? "target" : "background");

const joinsEnds = (found, [head, , tail]) => [head, tail].every((name) => name === found.head || name === found.tail);

/** Return a box for each entity in each layer that names it, at the same place along both. */
function placedBoxes(found, facts, target, narrow) {
  const labels = new Map(found.entities.map((entity) => [entity.name, entity.label]));
  const keys = new Set([`target\n${found.head}`, `target\n${found.tail}`]);
  for (const fact of facts) {
    for (const name of [fact.names[0], fact.names[2]]) keys.add(`${layerOf(fact, target)}\n${name}`);
  }
  const distances = distancesFrom(found, facts);
  const between = [...distances.keys()].filter((name) => name !== found.head && name !== found.tail);
  const place = narrow ? downwards(found, between) : across(found, between, distances);
  return new Map([...keys].map((key) => {
    const [layer, name] = key.split("\n");
    const label = shortened(labels.get(name) ?? name, narrow ? 13 : 22);
    return [key, { layer, name, label, width: Math.max(60, 7.3 * label.length + 24), ...place(layer, name) }];
  }));
}

/** Place boxes from left to right by distance from the head, equal distances below each other. */
function across({ tail }, between, distances) {
  const last = 1 + Math.max(0, ...between.map((name) => distances.get(name)));
  const filled = new Map();
  const rows = new Map(between.map((name) => {
    const row = 1 + (filled.get(distances.get(name)) ?? 0);
    filled.set(distances.get(name), row);
    return [name, row];
  }));
  const deepest = Math.max(0, ...filled.values());
  return (layer, name) => {
    const column = name === tail ? last : distances.get(name) ?? 1;
    const row = rows.get(name) ?? 0;
    const top = layer === "target" ? 46 : 46 + deepest * 74 + 96;
    return { x: 92 + column * Math.max(170, 340 / last) + 16 * row, y: top + 74 * row };
  };
}

/** Place boxes from top to bottom, one entity a line, the target's left and the others right. */
function downwards({ head, tail }, between) {
  const lines = [head, ...between, tail];
  return (layer, name) => {
    const inset = 78 + (name === head || name === tail ? 0 : 20);
    return { x: layer === "target" ? inset : NARROW - inset, y: 30 + LINE * (between.length ? 1 : 2) * lines.indexOf(name) };
  };
}

/** Return the bend of an edge in a narrow drawing that passes by the boxes on its way. */
function narrowBend(found, { names }, from, to, number, direct) {
  const down = to.y > from.y ? 1 : -1;
  const outward = from.layer === "target" ? -1 : 1;
  if (joinsEnds(found, names)) return direct ? -down * outward * number : down * outward * (1.7 + number);
  const passes = Math.abs(to.y - from.y) > 1.5 * LINE;
  return -down * outward * ((passes ? 2 : 0) + number);
}

/** Return the number of facts from the head to each entity, in either direction. */
function distancesFrom({ head, tail }, facts) {
  const distances = new Map([[head, 0]]);
  for (const name of distances.keys()) { // the loop also visits entities that it adds
    if (name === tail) continue;
    for (const { names: [from, , to] } of facts) {
      for (const [here, there] of [[from, to], [to, from]]) {
        if (here === name && !distances.has(there)) distances.set(there, distances.get(name) + 1);
      }
    }
  }
  return distances;
}

/** Return the drawing of a box. */
export const boxShape = ({ x, y, width, label, layer, name }) => shape("g", {}, shape("title", {}, name),
  shape("rect", { class: `box ${layer}`, x: x - width / 2, y: y - HEIGHT / 2, width, height: HEIGHT, rx: HEIGHT / 2 }),
  shape("text", { x, y }, label));

/** Return an arrow between two boxes, bent aside, and its label, moved down by so many lines. */
export function edge(from, to, label, kind, turn, lines, most) {
  if (from === to) return { line: null, text: null };
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = turn * 44;
  const middle = { x: (from.x + to.x) / 2 + (dy / length) * bend, y: (from.y + to.y) / 2 - (dx / length) * bend };
  const [start, end, tip] = [border(from, middle, 0), border(to, middle, TIP), border(to, middle, 0)];
  const [ux, uy] = [(tip.x - end.x) / TIP, (tip.y - end.y) / TIP];
  const arrow = [tip, { x: end.x - 4.5 * uy, y: end.y + 4.5 * ux }, { x: end.x + 4.5 * uy, y: end.y - 4.5 * ux }]
    .map((point) => `${point.x},${point.y}`).join(" ");
  const text = shortened(label.split("/").pop(), 22);
  const reach = 3.3 * text.length;
  const level = Math.abs(dx) > Math.abs(dy);
  const aside = level ? 0 : reach * Math.sign(Math.round(middle.x - (from.x + to.x) / 2));
  const x = (start.x + 2 * middle.x + end.x) / 4 + aside;
  return {
    line: shape("g", {},
      shape("path", { class: `edge ${kind}`, d: `M${start.x},${start.y}Q${middle.x},${middle.y} ${end.x},${end.y}` }),
      shape("polygon", { class: `tip ${kind}`, points: arrow })),
    text: shape("text", {
      class: "relation-label", x: Math.max(reach + 4, Math.min(x, most - reach - 4)),
      y: (start.y + 2 * middle.y + end.y) / 4 + (level ? -10 : 20 * lines),
    }, text),
  };
}

function link(one, other) {
  const [from, to] = [border(one, other, 2), border(other, one, 2)];
  return shape("path", { class: "edge link", d: `M${from.x},${from.y}L${to.x},${to.y}` });
}

/** Return the point at a distance from a box's border, on the line from its middle to a point. */
function border({ x, y, width }, towards, distance) {
  const [dx, dy] = [towards.x - x, towards.y - y];
  const length = Math.hypot(dx, dy) || 1;
  const scale = Math.min(width / 2 / Math.abs(dx || 1e-9), HEIGHT / 2 / Math.abs(dy || 1e-9)) + distance / length;
  return { x: x + dx * scale, y: y + dy * scale };
}

/** Return the drawing as a sentence, for screen readers. */
function inWords(found, facts) {
  const texts = facts.map((fact) => `${fact.head} ${fact.relation} ${fact.tail}, stated by ${fact.stated_by.join(" and ")}`);
  return `${found.labels.join(" ")}: ${texts.length ? texts.join("; ") : "no evidence to draw"}.`;
}
