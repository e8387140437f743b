// Keys: along the front, pins, and a list of them all.
import { byId, el } from "./dom.js";
import { costNames, shownFront } from "./model.js";
import { choose, pin, state, update } from "./state.js";

const KEYS = [
  ["←  →", "the next cheaper or costlier network of the front"],
  ["j  k", "the next trial, or the one before, in the order of their numbers"],
  ["p", "pin the chosen network, or unpin it: two pins are compared"],
  ["x", "the next cost on the x axis"],
  ["r", "limits and floor away"],
  ["/", "filter the table"],
  ["?", "this list"],
];
const ACTS = {
  ArrowLeft: () => along(-1), ArrowRight: () => along(1), j: () => next(1), k: () => next(-1),
  p: () => pin(state.chosen), x: nextCost, r: () => update({ limits: {}, floor: null }), "?": help,
  "/": () => byId("trials-filter").focus(),
};

export function startKeyboard() {
  byId("keys").replaceChildren(
    ...KEYS.map(([key, text]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)))
  );
  byId("help-button").addEventListener("click", help);
  byId("help-close").addEventListener("click", () => byId("help").close());
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog[open]");
    const scrolls = event.key.startsWith("Arrow") && event.target.closest?.(".scroll, .sheet");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || scrolls || !ACTS[event.key]) return;
    event.preventDefault();
    ACTS[event.key]();
  });
}

function along(step) {
  const members = shownFront();
  if (!members.length) return;
  const at = members.indexOf(state.chosen);
  choose(members[at < 0 ? 0 : Math.max(0, Math.min(members.length - 1, at + step))]);
}

function next(step) {
  const at = state.doc.trials.findIndex((row) => row.n === state.chosen);
  const row = state.doc.trials[Math.max(0, Math.min(state.doc.trials.length - 1, at + step))];
  if (row) choose(row.n);
}

function nextCost() {
  const costs = costNames();
  update({ x: costs[(costs.indexOf(state.x) + 1) % costs.length] });
}

function help() {
  const dialog = byId("help");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}
