// The chosen trial: its numbers, drawing, blocks, curve, choices and commands.
import { byId, button, cell, command, drawn, el, pickList, rowHead, table, terms } from "./dom.js";
import { duration, percent, plural, short, stateWords, titleOf, valueText } from "./format.js";
import { CurvePlot } from "./curves.js";
import { accuracyName, isSet, outsideText } from "./model.js";
import { choicesOf, valueWords } from "./differences.js";
import { pin, state, view } from "./state.js";

let source = null, plot = null, shown = null;

export function startNetwork(given) {
  source = given;
  plot = new CurvePlot(byId("own-curve"), "Learning curve of the chosen trial");
  view(["doc", "chosen", "pins"], drawSelected);
  view(["doc", "chosen", "live", "curve", "scheme"], drawOwnCurve);
  view(["doc", "chosen"], () => { drawDetail(); });
}

export const versionOf = (row) => `${row.state}-${row.epochs}`;

function drawSelected() {
  const row = state.rows.get(state.chosen);
  const box = byId("selected");
  if (!row) {
    box.replaceChildren();
    return;
  }
  const pinned = state.pins.indexOf(row.n);
  const head = el("div", { class: "selected-head" }, el("h3", {}, `Trial ${row.n}`), badge(row),
    button(pinned < 0 ? "Pin" : `Unpin ${"AB"[pinned]}`, { class: "plain", title: "Key p" }, () => pin(row.n)));
  const parts = [head, el("p", { class: "code" }, row.summary)];
  if (row.failure) parts.push(el("p", { class: "failure" }, row.failure));
  box.replaceChildren(...parts, accuracyBlock(row), terms(facts(row), { class: "values" }), sameAs(row), commands(row));
  box.dataset.architecture = row.id;
}

export function badge(row) {
  return el("span", { class: `badge ${row.front ? "front" : row.state}` }, stateWords(row, state.doc.single));
}

// The accuracy in large type: believed with its interval, as measured, and on the test part where it was retrained.
function accuracyBlock(row) {
  const name = accuracyName(), measured = row.values[name];
  if (!isSet(measured)) return "";
  const { believed } = row, test = state.doc.retrained?.[row.n]?.test;
  const lines = [];
  if (believed) {
    lines.push(["big", `${percent(believed.mean)}`, ` ${titleOf(name)}`]);
    const interval = `90 % interval ${percent(believed.low)} to ${percent(believed.high)}`;
    lines.push(["", `${interval}; measured ${percent(measured)}`, `${images()}${several(row)}`]);
    if (isSet(believed.p_front)) lines.push(["", `On the front with probability ${believed.p_front.toFixed(2)}`, ""]);
  } else lines.push(["big", percent(measured), ` ${titleOf(name)}`]);
  if (test) lines.push(["", `Test accuracy ${testText(test)}`, ""]);
  return el(
    "div", { class: "accuracy" },
    lines.map(([kind, text, more]) => el("p", { class: kind || "small" }, el("span", {}, text), more)),
  );
}

const images = () => (state.doc.n_validation ? ` on ${state.doc.n_validation.toLocaleString("en")} images` : "");

const several = ({ trainings }) => (trainings > 1 ? `, in the mean of ${trainings} trainings` : "");

export function testText({ mean, std, n }) {
  return `${percent(mean)}${isSet(std) ? ` ± ${(100 * std).toFixed(1)}` : ""} (n = ${n})`;
}

function facts(row) {
  const skipped = new Set([accuracyName(), "trial", "seconds"]);
  const names = Object.keys(state.doc.measures).filter((name) => !skipped.has(name) && isSet(row.values[name]));
  const pairs = names.map((name) => [titleOf(name), `${valueText(name, row.values[name])}${outsideText(row, name)}`]);
  pairs.push(["epochs", String(row.epochs)], ["training", duration(row.values.seconds)]);
  if (isSet(row.inherits)) pairs.push(["weights from", `trial ${row.inherits.trial ?? row.inherits}`]);
  if (row.imported) pairs.push(["trained", "elsewhere"]);
  pairs.push(["architecture", row.id]);
  return pairs;
}

function sameAs(row) {
  const same = state.doc.same?.[row.n] ?? [];
  if (!same.length) return "";
  const links = pickList(same.slice(0, 8));
  return el(
    "p", { class: "small" }, `Cannot be told apart from ${same.length > 1 ? "trials" : "trial"} `, ...links,
    same.length > 8 ? ` and ${same.length - 8} more.` : ".",
  );
}

function commands(row) {
  if (row.state !== "complete") return "";
  const { retrain, export: out } = state.doc.commands;
  return el("div", { class: "commands" }, el("h4", {}, "Retrain it over several seeds"), command(`${retrain}${row.n}`),
    el("h4", {}, "Export it as weights, source and ONNX"), command(`${out}${row.n}`));
}

// ---- drawing, blocks and choices ----------------------------------------------------------------------------------
async function drawDetail() {
  const row = state.rows.get(state.chosen);
  if (!row) return;
  byId("network-title").replaceChildren(`Trial ${row.n}`);
  byId("own-choices").replaceChildren(...choiceTable(row));
  const key = `${row.n}:${row.id}`;
  if (shown === key) return;
  shown = key;
  const place = byId("drawing"), blocks = byId("blocks");
  let detail = null, failure = null;
  try {
    detail = await source.detail(row.n, versionOf(row));
  } catch (error) {
    failure = error;
  }
  if (shown !== key) return;
  place.dataset.architecture = row.id;
  if (detail) {
    place.replaceChildren(drawn(detail.drawing, `Drawing of trial ${row.n}: ${row.summary}`));
    blocks.replaceChildren(...blockTable(detail.blocks));
    return;
  }
  shown = failure ? null : shown;
  const few = "Of this many trials those of the front and some others are drawn.";
  const why = failure ? `The drawing could not be loaded: ${failure.message}.` : few;
  place.replaceChildren(
    el("p", { class: "note" }, why), command(`nas describe architecture=${state.doc.study}:${row.n} svg=network.svg`),
  );
  blocks.replaceChildren();
}

// Parameters and MACs of each block, with a bar for its share of the MACs.
export function blockTable(blocks, changed = new Set()) {
  if (!blocks?.length) return [];
  const total = blocks.reduce((sum, block) => sum + block.macs, 0) || 1;
  const most = Math.max(...blocks.map((block) => block.macs)) || 1;
  const rows = blocks.map((block) => {
    const bar = el("span", { class: "share" });
    bar.style.width = `${(100 * block.macs) / most}%`;
    const number = (value) => el("td", { class: "number", title: value.toLocaleString("en") }, short(value));
    const share = el("span", { class: "number" }, percent(block.macs / total, 0));
    return el(
      "tr", { class: changed.has(block.path) ? "changed" : null }, rowHead(block.path, "code"),
      cell([block.output ?? ""].flat().join("×")), number(block.params), number(block.macs),
      el("td", { class: "bar-cell" }, el("span", { class: "share-track" }, bar), share),
    );
  });
  const head = ["block", "output", "params", "MACs", "share of MACs"];
  return [table("Costs of each block", head, rows, { class: "blocks" })];
}

function choiceTable(row) {
  const choices = [...choicesOf(row)];
  if (!choices.length) return [];
  const rows = choices.map(([path, value]) => el("tr", {}, rowHead(path, "code"), cell(valueWords(value), "code")));
  const summary = el("summary", {}, plural(choices.length, "choice"));
  return [el("details", {}, summary, table("Choices", ["choice", "value"], rows))];
}

function drawOwnCurve() {
  const row = state.rows.get(state.chosen);
  if (row) plot.draw([row], state.curve);
}
