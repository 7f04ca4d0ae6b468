// Facts that the graph lacks, to be accepted or refused.

import { bar, chips, element, entityAddress, factAddress, grouped, modelInfo, percent, relationAddress, request } from "./common.js";

const AT_ONCE = 25; // facts shown at first, and added by a click
const PAGE = 100; // facts of one request
const PAUSE = 700; // milliseconds between two looks at what has been found

const BASES = [["", "all"], ["stated", "stated by other sources"], ["inferred", "inferred"], ["undecided", "without a decision"]];

let kept;
/** Return what the server keeps of decisions, requested once. */
export const decisionsKept = () => (kept ??= request("decisions").catch((error) => { kept = undefined; throw error; }));

/** Return the view of the missing facts of the whole graph, and its title. */
export async function showMissing() {
  const info = await modelInfo();
  const title = element("div", { class: "title" }, element("h1", {}, "Missing facts"),
    element("p", { class: "soft" }, `The most probable facts that ${info.source} does not state.`));
  return [element("article", { class: "column" }, title, element("section", { class: "card" },
    element("h2", { class: "unseen" }, "Facts"), await missingList({ info }))), "Missing facts"];
}

/** Return a list of missing facts, of a relation or of the whole graph, with its choices. */
export async function missingList({ info, relation }) {
  const { file } = await decisionsKept();
  const list = element("ul", { class: "missing" });
  const progress = element("p", { class: "small soft", role: "status" });
  const choice = element("select", { id: "basis" }, BASES.map(([value, text]) => element("option", { value }, text)));
  const more = element("button", { class: "more", type: "button", hidden: "" }, "Show more");
  let wanted = AT_ONCE, run = 0;
  /** Show what has been found so far, and return true when all has been looked for. */
  const load = async (own) => {
    const parameters = { ...(relation && { relation }), ...(choice.value === "undecided" ? { undecided: true } : choice.value && { basis: choice.value }) };
    const pages = [];
    for (let offset = 0; offset < wanted; offset += PAGE) {
      pages.push(await request("missing", { ...parameters, offset, k: Math.min(PAGE, wanted - offset) }));
    }
    if (own !== run) return true;
    const { asked, queries, n_facts } = pages[0];
    const at = [...list.querySelectorAll("a, button")].indexOf(document.activeElement);
    list.replaceChildren(...pages.flatMap((page) => page.facts).map((fact) => factRow(fact, { info, file, relation })));
    if (at >= 0) list.querySelectorAll("a, button")[at]?.focus();
    more.hidden = n_facts <= wanted;
    const looked = asked >= queries ? "" : ` ${percent(asked / Math.max(queries, 1))} of the queries have been asked; the search goes on.`;
    progress.textContent = `${grouped(n_facts)} facts have a probability of 10 % or more.${looked}`;
    return asked >= queries;
  };
  const failed = (error) => progress.replaceChildren(element("span", { role: "alert" }, error.message));
  /** Load until all has been looked for, or the list is no longer shown. */
  const follow = async () => {
    const own = ++run;
    try {
      while (!await load(own)) {
        await new Promise((next) => setTimeout(next, PAUSE));
        if (own !== run || !list.isConnected) return;
      }
    } catch (error) {
      failed(error);
    }
  };
  choice.addEventListener("change", () => { wanted = AT_ONCE; follow(); });
  more.addEventListener("click", () => { wanted += AT_ONCE; follow(); });
  follow();
  return element("div", { class: "column tight" },
    element("div", { class: "choice first" }, element("label", { for: "basis" }, "Facts to show"), choice), howToKeep(file), progress, list, more);
}

/** Return a sentence on where decisions go. */
const howToKeep = (file) => element("p", { class: "small soft" }, ...(file
  ? ["What you accept and refuse goes into ", element("code", {}, file), " at once. The next training learns from it by ", element("code", {}, `--decisions ${file}`), ", and ", element("code", {}, `kgraft complete … --accepted ${file}`), " writes what you accepted."]
  : ["To accept and refuse here, start the server with a file for that: ", element("code", {}, "kgraft serve MODEL --decisions decisions.csv"), "."]));

function factRow(fact, { info, file, relation }) {
  const { head, tail, labels, probability, stated_by } = fact;
  const along = relation ? labels[1] : element("a", { href: relationAddress(fact.relation) }, labels[1]);
  return element("li", { class: "row" },
    element("span", {}, element("a", { href: entityAddress(head) }, labels[0]), " · ", along, " · ", element("a", { href: entityAddress(tail) }, labels[2]), " ", chips(stated_by, info.source)),
    bar(probability), element("span", { class: "share" }, percent(probability)),
    element("a", { class: "why", href: factAddress(head, fact.relation, tail), "aria-label": `Why ${labels.join(" ")}?` }, "Why?"),
    decisionButtons(fact, file));
}

/** Return the two buttons of a fact; pressing one again takes the decision back. */
export function decisionButtons(fact, file) {
  const { head, relation, tail, labels } = fact;
  const words = labels.join(" ");
  const problem = element("span", { class: "problem small", role: "status" });
  const buttons = [["accept", "Accept", "✓"], ["refuse", "Refuse", "✗"]].map(([decision, text, sign]) => element("button", {
    class: `decide ${decision}`, type: "button", "data-decision": decision, "aria-pressed": String(fact.decision === decision),
    "aria-label": `${text}: ${words}`, title: file ? text : `${text}: this server keeps no decisions`, onclick: () => decide(decision),
  }, sign));
  const decide = async (pressed) => {
    problem.textContent = "";
    const decision = fact.decision === pressed ? "none" : pressed;
    try {
      const taken = await request("decisions", {}, { body: { head, relation, tail, decision } });
      fact.decision = taken.decision;
      kept = undefined;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.decision === fact.decision));
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return element("span", { class: "decisions", role: "group", "aria-label": `Decision about ${words}` }, buttons, problem);
}
