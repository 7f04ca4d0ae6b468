// An explanation as a small graph. Each entity stands once in the target's colour and, where other
// sources say something about it, once in theirs; a dashed line says that the two are the same.

import { brief, shape } from "./parts.js";

const REASONS = 3; // that are drawn
const BETWEEN = 6; // entities between the two ends, at most
const HEIGHT = 34;
const TIP = 9;
const LINE = 84; // from one box to the next in a narrow drawing
const NARROW = 340; // its width

/** Return the drawing; it runs down the page where that is narrow. */
export function draw(found, target) {
  const facts = chosen(found);
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const nodes = placed(found, facts, target, narrow);
  const at = (layer, name) => nodes.get(`${layer}\n${name}`);
  const alone = facts.every(({ names: [head, , tail] }) => [head, tail].every((name) => name === found.head || name === found.tail));
  const most = narrow ? NARROW : Infinity;
  const [bend, up] = narrow ? [alone ? -1 : -2, -1] : [0.7, 0];
  const asked = edge(at("target", found.head), at("target", found.tail), found.labels[1], "asked", bend, up, most);
  const seen = new Map();
  const edges = facts.map((fact) => {
    const layer = layerOf(fact, target);
    const [head, , tail] = fact.names;
    const pair = [layer, ...[head, tail].sort()].join("\n");
    const turn = seen.get(pair) ?? 0;
    seen.set(pair, turn + 1);
    const [from, to] = [at(layer, head), at(layer, tail)];
    const away = narrow ? aside(found, fact, from, to, turn, alone) : turn;
    return edge(from, to, fact.relation, layer, away, turn, most);
  });
  const links = [...nodes.values()].filter((node) => node.layer === "background" && at("target", node.name))
    .map((node) => link(at("target", node.name), node));
  const width = narrow ? NARROW : Math.max(...[...nodes.values()].map((node) => node.x + node.width / 2)) + 20;
  const height = Math.max(...[...nodes.values()].map((node) => node.y)) + HEIGHT + 20;
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(found, facts) },
    links, edges.map((x) => x.line), asked.line, [...nodes.values()].map(box), [...edges, asked].map((x) => x.text));
}

/** The facts that are drawn: what others state, then the strongest rules and paths. */
function chosen(found) {
  const { head, tail } = found;
  const statements = found.stated_by.filter((x) => found.supports.some((y) => y.source === x.source));
  const stated = statements.slice(0, 1).map(() => ({
    names: [head, found.relation, tail], relation: found.labels[1],
    stated_by: statements.map((x) => x.source), head: found.labels[0], tail: found.labels[2] }));
  const reasons = [...found.rules, ...found.paths].map((x) => x.facts).filter((x) => x.length);
  const facts = new Map(stated.map((fact) => [keyOf(fact), fact]));
  const between = new Set();
  let drawn = 0;
  for (const reason of reasons) {
    const others = reason.flatMap((fact) => [fact.names[0], fact.names[2]]).filter((x) => x !== head && x !== tail);
    const fresh = reason.some((fact) => !facts.has(keyOf(fact)));
    if (drawn === REASONS || !fresh || new Set([...between, ...others]).size > BETWEEN) continue;
    drawn += 1;
    others.forEach((x) => between.add(x));
    reason.forEach((fact) => facts.set(keyOf(fact), facts.get(keyOf(fact)) ?? fact));
  }
  return [...facts.values()];
}

/** A fact and its like in the other direction are drawn once. */
const keyOf = ({ names: [head, relation, tail] }) => [relation, ...[head, tail].sort()].join("\n");

const layerOf = (fact, target) => (fact.stated_by.includes(target) ? "target" : "background");

/** Give each entity its place in each layer that it is in, the same way along in both. */
function placed(found, facts, target, narrow) {
  const labels = new Map(found.entities.map((node) => [node.name, node.label]));
  const wanted = new Set([`target\n${found.head}`, `target\n${found.tail}`]);
  for (const fact of facts) {
    for (const name of [fact.names[0], fact.names[2]]) wanted.add(`${layerOf(fact, target)}\n${name}`);
  }
  const grid = narrow ? downwards(found, facts) : across(found, facts);
  return new Map([...wanted].map((key) => {
    const [layer, name] = key.split("\n");
    const label = brief(labels.get(name) ?? name, narrow ? 13 : 22);
    const width = Math.max(60, 7.3 * label.length + 24);
    return [key, { layer, name, label, width, ...grid(layer, name) }];
  }));
}

/** From left to right by steps from the head, what is as far one below the other. */
function across({ head, tail }, facts) {
  const steps = distances({ head, tail }, facts);
  const between = [...steps.keys()].filter((name) => name !== head && name !== tail);
  const last = 1 + Math.max(0, ...between.map((name) => steps.get(name)));
  const rows = new Map();
  const row = new Map(between.map((name) => {
    const place = 1 + (rows.get(steps.get(name)) ?? 0);
    rows.set(steps.get(name), place);
    return [name, place];
  }));
  const deepest = Math.max(0, ...rows.values());
  return (layer, name) => {
    const step = name === tail ? last : steps.get(name) ?? 1;
    const down = row.get(name) ?? 0;
    const top = layer === "target" ? 46 : 46 + deepest * 74 + 96;
    return { x: 92 + step * Math.max(170, 340 / last) + 16 * down, y: top + 74 * down };
  };
}

/** From the top down, each entity on a line of its own; the target's left, the others right. */
function downwards({ head, tail }, facts) {
  const steps = distances({ head, tail }, facts);
  const between = [...steps.keys()].filter((name) => name !== head && name !== tail);
  const lines = [head, ...between, tail];
  const inward = between.length ? 20 : 0;
  return (layer, name) => {
    const aside = name === head || name === tail ? 0 : inward;
    return { x: layer === "target" ? 78 + aside : NARROW - 78 - aside, y: 30 + LINE * (between.length ? 1 : 2) * lines.indexOf(name) };
  };
}

/** How far an edge of the narrow drawing bends so as to pass by the boxes on its way. */
function aside(found, { names: [head, , tail] }, from, to, turn, alone) {
  const down = to.y > from.y ? 1 : -1;
  const outward = from.layer === "target" ? -1 : 1;
  const direct = [head, tail].every((name) => name === found.head || name === found.tail);
  if (direct && !alone) return down * outward * (1.7 + turn);
  const passes = !direct && Math.abs(to.y - from.y) > 1.5 * LINE;
  return -down * outward * ((passes ? 2 : 0) + turn);
}

/** Count the steps from the head to each entity along the facts, in either direction. */
function distances({ head, tail }, facts) {
  const steps = new Map([[head, 0]]);
  for (const name of steps.keys()) {
    if (name === tail) continue;
    for (const { names: [from, , to] } of facts) {
      for (const [here, there] of [[from, to], [to, from]]) {
        if (here === name && !steps.has(there)) steps.set(there, steps.get(name) + 1);
      }
    }
  }
  return steps;
}

function box({ x, y, width, label, layer, name }) {
  return shape("g", {}, shape("title", {}, name),
    shape("rect", { class: `box ${layer}`, x: x - width / 2, y: y - HEIGHT / 2, width, height: HEIGHT, rx: HEIGHT / 2 }),
    shape("text", { x, y }, label));
}

/** A line from one box to another, bent aside, with its label so far down that it covers no other's. */
function edge(from, to, label, kind, turn, down, most) {
  if (from === to) return { line: null, text: null };
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = turn * 44;
  const middle = { x: (from.x + to.x) / 2 + (dy / length) * bend, y: (from.y + to.y) / 2 - (dx / length) * bend };
  const start = border(from, middle, 0);
  const end = border(to, middle, TIP);
  const tip = border(to, middle, 0);
  const [ux, uy] = [(tip.x - end.x) / TIP, (tip.y - end.y) / TIP];
  const arrow = [tip, { x: end.x - 4.5 * uy, y: end.y + 4.5 * ux }, { x: end.x + 4.5 * uy, y: end.y - 4.5 * ux }]
    .map((point) => `${point.x},${point.y}`).join(" ");
  const text = brief(label.split("/").pop(), 22);
  const half = { x: (start.x + 2 * middle.x + end.x) / 4, y: (start.y + 2 * middle.y + end.y) / 4 };
  const outside = Math.abs(dx) > Math.abs(dy) ? 0 : Math.sign(Math.round(middle.x - (from.x + to.x) / 2));
  return {
    line: shape("g", {},
      shape("path", { class: `edge ${kind}`, d: `M${start.x},${start.y}Q${middle.x},${middle.y} ${end.x},${end.y}` }),
      shape("polygon", { class: `tip ${kind}`, points: arrow })),
    text: shape("text", {
      class: "verb", x: within(half.x + outside * 3.3 * text.length, 3.3 * text.length + 4, most),
      y: half.y + (Math.abs(dx) > Math.abs(dy) ? -10 : 20 * down),
    }, text),
  };
}

/** Keep a text's middle so far from the edges that all of it is seen. */
const within = (x, reach, most) => Math.max(reach, Math.min(x, most - reach));

const link = (one, other) => {
  const [from, to] = [border(one, other, 2), border(other, one, 2)];
  return shape("path", { class: "edge link", d: `M${from.x},${from.y}L${to.x},${to.y}` });
};

/** Return where the line from a box's middle towards a point leaves the box, and a little further. */
function border({ x, y, width }, towards, further) {
  const [dx, dy] = [towards.x - x, towards.y - y];
  const length = Math.hypot(dx, dy) || 1;
  const scale = Math.min(width / 2 / Math.abs(dx || 1e-9), HEIGHT / 2 / Math.abs(dy || 1e-9)) + further / length;
  return { x: x + dx * scale, y: y + dy * scale };
}

/** Say what a drawing shows, for those who do not see it. */
function inWords(found, facts) {
  const said = facts.map((fact) => `${fact.head} ${fact.relation} ${fact.tail}, stated by ${fact.stated_by.join(" and ")}`);
  return `${found.labels.join(" ")}: ${said.length ? said.join("; ") : "nothing that could be drawn speaks for it"}.`;
}
