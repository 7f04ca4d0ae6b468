// The map of all entities, and the card of the entities that are similar to one.

import { brief, card, element, entityAddress, grouped, percent } from "./common.js";
import { mapOfAll, scatter } from "./scatter.js";

const EXAMPLES = 5; // entities named for each group

/** Return the view of the map and its title. */
export async function showMap() {
  const map = await mapOfAll();
  const points = map.names.map((name, at) => ({ name, label: map.labels[at], position: map.points[at], weight: map.facts[at] }));
  const part = map.names.length < map.entities ? `${grouped(map.names.length)} of ${grouped(map.entities)}` : grouped(map.entities);
  const shares = map.explained_variance.map(percent).join(" and ");
  const words = `${part} entities along the first two principal components of their vectors, which explain ${shares} of the variance.`;
  const { figure, recolour } = scatter(points, { words, open: (name) => location.assign(entityAddress(name)), wheel: true });
  const groups = element("div", {});
  const choice = element("select", { id: "colour" },
    element("option", { value: "by_type" }, "type"), element("option", { value: "by_source" }, "the sources that know it"));
  const show = () => {
    const { names, of } = map[choice.value];
    recolour(new Map(map.names.map((name, at) => [name, of[at]])));
    groups.replaceChildren(groupTable(names, of, map));
  };
  choice.addEventListener("change", show);
  show();
  const title = element("div", { class: "title" }, element("h1", {}, "Map"), element("p", { class: "soft" }, words, " Similar entities lie near each other."));
  return [element("article", { class: "column" }, title,
    element("section", { class: "card whole" }, element("h2", { class: "unseen" }, "Entities"),
      element("div", { class: "choice first" }, element("label", { for: "colour" }, "Coloured by"), choice), figure),
    card("Groups", "Each with its best connected entities.", groups)), "Map"];
}

/** Return the groups in words, which are the legend of the colours too. */
function groupTable(names, of, map) {
  const members = names.map(() => []);
  of.forEach((group, at) => members[group].push(at));
  return element("div", { class: "wide" }, element("table", { class: "plain groups" },
    element("thead", {}, element("tr", {}, ["group", "entities", "for example"].map((x) => element("th", { scope: "col" }, x)))),
    element("tbody", {}, names.map((name, group) => element("tr", {},
      element("th", { scope: "row" }, element("i", { class: `swatch g${group}` }), element("span", { title: name }, brief(name))),
      element("td", {}, grouped(members[group].length)),
      element("td", {}, members[group].slice(0, EXAMPLES).flatMap((at, place) =>
        [place ? ", " : "", element("a", { href: entityAddress(map.names[at]) }, map.labels[at])])))))));
}

/** Return the card with similar entities, on the map and in a list. */
export function mapCard(name, label, { position, neighbours }, map) {
  const points = map.names.map((other, at) => ({ name: other, label: map.labels[at], position: map.points[at], weight: 0 }));
  points.push(...neighbours.map((x) => ({ ...x, mark: "near" })), { name, label, position, mark: "here" });
  const words = `${label} and similar entities on the map of all entities`;
  const { figure } = scatter(points, { words, open: (other) => location.assign(entityAddress(other)) });
  const list = element("ol", { class: "similar" }, neighbours.map(({ name, label, similarity }) =>
    element("li", {}, element("a", { href: entityAddress(name) }, label),
      element("span", { class: "soft" }, similarity.toFixed(2)))));
  return card("Similar entities", "By the cosine of their vectors, and on the map of all entities.", figure, list,
    element("p", { class: "small" }, element("a", { href: "/#/map" }, "The whole map")));
}
