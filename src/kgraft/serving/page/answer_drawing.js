// The facts of an answer as a small graph, from the entities of the query to the answer.

import { shape, shortened } from "./common.js";
import { HEIGHT, boxShape, edge } from "./explanation_drawing.js";

const COLUMN = 190; // from one box to the next
const ROW = 62;
const NARROW = 330; // width of a narrow drawing

/** Return the drawing of an answer's facts. */
export function drawAnswer({ hops, bindings }, target) {
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const boxes = placedBoxes(hops, new Set(Object.values(bindings)), narrow);
  const parallel = new Map(); // edges so far between the same two boxes
  const edges = hops.map((hop) => {
    const pair = [hop.head, hop.tail].sort().join("\n");
    const number = parallel.get(pair) ?? 0;
    parallel.set(pair, number + 1);
    return edge(boxes.get(hop.head), boxes.get(hop.tail), hop.labels[1], kindOf(hop, target), number, number, narrow ? NARROW : Infinity);
  });
  const all = [...boxes.values()];
  const width = narrow ? NARROW : Math.max(...all.map((box) => box.x + box.width / 2)) + 12;
  const bent = Math.max(...parallel.values()) - 1; // edges bend below the boxes
  const height = Math.max(...all.map((box) => box.y)) + HEIGHT / 2 + 14 + 26 * bent;
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": inWords(hops) },
    edges.map((x) => x.line), all.map(boxShape), edges.map((x) => x.text));
}

/** Return the kind of a fact: stated by the target or by others, or predicted. */
export const kindOf = (hop, target) => (hop.basis !== "stated" ? "predicted" : hop.stated_by.includes(target) ? "target" : "background");

/** Return a box for each entity, those of the query first. */
function placedBoxes(hops, answers, narrow) {
  const labels = new Map(hops.flatMap((hop) => [[hop.head, hop.labels[0]], [hop.tail, hop.labels[2]]]));
  const distances = distancesFrom(hops, answers);
  const filled = new Map();
  return new Map([...labels].map(([name, text]) => {
    const column = distances.get(name) ?? 0;
    const row = filled.get(column) ?? 0;
    filled.set(column, row + 1);
    const label = shortened(text, narrow ? 13 : 20);
    const width = Math.max(60, 7.3 * label.length + 24);
    const place = narrow ? { x: 80 + 170 * row, y: 30 + 76 * column } : { x: 90 + COLUMN * column, y: 30 + ROW * row };
    return [name, { layer: answers.has(name) ? "target" : "between", name, label, width, ...place }];
  }));
}

/** Return the number of facts to each entity from those that are no answer, or else from the first. */
function distancesFrom(hops, answers) {
  const ends = hops.flatMap(({ head, tail }) => [head, tail]);
  const count = (name) => ends.filter((x) => x === name).length;
  const given = ends.filter((x) => !answers.has(x) && count(x) === 1);
  const distances = new Map((given.length ? given : ends.slice(0, 1)).map((name) => [name, 0]));
  for (const name of distances.keys()) { // the loop also visits entities that it adds
    for (const { head, tail } of hops) {
      for (const [here, there] of [[head, tail], [tail, head]]) {
        if (here === name && !distances.has(there)) distances.set(there, distances.get(name) + 1);
      }
    }
  }
  return distances;
}

/** Return the drawing as a sentence, for screen readers. */
const inWords = (hops) => `${hops.map((hop) => `${hop.labels.join(" ")}, ${hop.basis}`).join("; ")}.`;
