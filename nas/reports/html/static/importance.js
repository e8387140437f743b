// Importance of choices for the accuracy and for each cost, with what chance reaches.
import { byId, el, segments, shape, table } from "./dom.js";
import { percent, titleOf } from "./format.js";
import { isSet } from "./model.js";
import { state, update, view } from "./state.js";

const SHOWN = 15;

export function startImportance() {
  view(["doc", "importance"], drawImportance);
}

function drawImportance() {
  const measures = state.doc.importance?.measures ?? {};
  const names = Object.keys(measures);
  const taken = names.includes(state.importance) ? state.importance : names[0];
  const options = names.map((name) => [name, titleOf(name)]);
  const menus = names.length > 1 ? segments("measure", options, taken, (importance) => update({ importance })) : "";
  byId("choices-menus").replaceChildren(menus);
  const choices = measures[taken] ?? [];
  if (!choices.length) {
    byId("choices-note").textContent = state.doc.importance?.note ?? (
      state.doc.importance ? "There are too few complete trials to tell which choices matter." : "Not computed yet."
    );
    byId("choices-table").replaceChildren();
    return;
  }
  const beyond = choices.filter(isBeyond).length, count = choices.length;
  const found = `Of ${count} choices ${beyond} are beyond it; about ${Math.round(count / 20)} would be by chance alone.`;
  byId("choices-note").textContent = `${state.doc.importance.notes?.[taken] ?? ""} ${found}`.trim();
  const most = 1.02 * Math.max(...choices.slice(0, SHOWN).map((one) => Math.max(one.share, one.chance ?? 0)));
  const left = choices.length - SHOWN;
  byId("choices-table").replaceChildren(
    ...rowsOf(choices.slice(0, SHOWN), most),
    left > 0 ? el("p", { class: "note" }, `… and ${left} choices of less importance.`) : "",
  );
}

const isBeyond = (choice) => choice.above_chance ?? choice.share > choice.chance;

function rowsOf(choices, most) {
  const width = (share) => `${((100 * share) / most).toFixed(1)}%`;
  const effects = choices.some((choice) => choice.effect);
  const rows = choices.map((choice) => {
    const at = isSet(choice.chance) ? width(choice.chance) : null;
    const tick = at ? shape("line", { x1: at, x2: at, y1: 0, y2: 14 }) : "";
    const bar = shape(
      "svg", { class: "bar", "aria-hidden": "true" },
      shape("rect", { width: width(choice.share), height: 10, y: 2, rx: 2 }), tick,
    );
    const share = el("td", { class: "bar-cell" }, bar, el("span", { class: "number" }, percent(choice.share)));
    const effect = effects ? el("td", {}, choice.effect ?? "") : null;
    const verdict = el("td", {}, isBeyond(choice) ? "beyond chance" : "within chance");
    const path = el("th", { scope: "row", class: "code" }, choice.path);
    return el("tr", { class: isBeyond(choice) ? "beyond" : "within" }, path, share, effect, verdict);
  });
  const head = ["choice", "share of importance", ...(effects ? ["effect"] : []), "against chance"];
  return [table("Choices by importance", head, rows, { class: "choices" })];
}
