// Two pinned networks: what differs, in words and in their drawings.
import { byId, button, cell, drawn, el, pickButton, rowHead, table } from "./dom.js";
import { changeText, percent, pointsText, short, titleOf } from "./format.js";
import { accuracyName, costNames, isSet, valueOf } from "./model.js";
import { differences, holder } from "./differences.js";
import { badge, blockTable, versionOf } from "./network.js";
import { state, update, view } from "./state.js";

let source = null, turn = 0;

export function startCompare(given) {
  source = given;
  view(["doc", "pins"], drawCompare);
}

function drawCompare() {
  const pair = state.pins.map((number) => state.rows.get(number)).filter(Boolean);
  const section = byId("compare");
  section.hidden = !pair.length;
  document.querySelector("nav a[href='#compare']").hidden = !pair.length;
  turn += 1;
  if (pair.length < 2) {
    const text = pair.length ? `Trial ${pair[0].n} is pinned; pin another one (key p) to compare.` : "";
    byId("compare-text").replaceChildren(el("p", { class: "note" }, text));
    byId("compare-drawings").replaceChildren();
    delete byId("compare-text").dataset.changes;
    return;
  }
  const changes = differences(...pair);
  byId("compare-text").replaceChildren(
    heads(pair), el("div", { class: "findings" }, totals(pair), words(pair, changes)),
  );
  byId("compare-text").dataset.changes = JSON.stringify(changes.map((change) => change.text));
  drawPair(pair, changes, turn);
}

function heads(pair) {
  const one = (row, i) => el(
    "div", { class: `pinned pin-${"ab"[i]}` }, el("span", { class: "letter" }, "AB"[i]),
    pickButton(row.n, `Trial ${row.n}`), " ", badge(row), el("p", { class: "code" }, row.summary),
  );
  return el(
    "div", { class: "pair heads" }, pair.map(one), button("Clear pins", { class: "plain" }, () => update({ pins: [] })),
  );
}

// The accuracy's difference with the reach of its 90 % interval: both deviate independently from what is believed, and
// share the error of the validation part, which cancels.
function accuracyChange([a, b]) {
  const name = accuracyName();
  const before = valueOf(a, name), after = valueOf(b, name);
  if (!isSet(before) || !isSet(after)) return null;
  const reach = ({ believed }) => believed.margin ?? (believed.high - believed.low) / 2;
  const both = a.believed && b.believed && !state.measured;
  return { before, after, change: after - before, reach: both ? Math.hypot(reach(a), reach(b)) : null };
}

function totals(pair) {
  const accuracy = accuracyChange(pair);
  const rows = [];
  const line = (name, before, after, change) =>
    el("tr", {}, rowHead(name), cell(before), cell(after), cell(change, "number strong"));
  if (accuracy) {
    const { before, after, change, reach } = accuracy;
    rows.push(line(titleOf(accuracyName()), percent(before), percent(after), pointsText(change, reach)));
  }
  for (const name of costNames()) {
    const [before, after] = pair.map((row) => row.values[name]);
    if (!isSet(before) || !isSet(after)) continue;
    rows.push(line(titleOf(name), short(before), short(after), changeText(before, after)));
  }
  return table("Totals of both networks", ["", "A", "B", "from A to B"], rows, { class: "totals" });
}

// The changes in words; of a single one with what it makes of the costs and the accuracy.
function words(pair, changes) {
  if (!changes.length) {
    const known = state.doc.choices?.names?.length;
    return el(
      "p", { class: "note" },
      known ? "The two networks are the same architecture." : "The choices of this study are not known here.",
    );
  }
  const items = changes.map((change) => {
    const [path, ...rest] = change.text.split(": ");
    const kind = change.before === null ? "added" : change.after === null ? "removed" : "altered";
    return el(
      "li", { class: kind, "data-path": change.path }, el("span", { class: "code strong" }, path),
      el("span", { class: "code" }, `: ${rest.join(": ")}`),
      changes.length === 1 ? el("span", {}, `: ${effect(pair)}`) : "",
    );
  });
  const total = changes.length > 1 ? el("p", {}, `Together: ${effect(pair)}.`) : "";
  return el(
    "div", {}, el("h3", {}, changes.length === 1 ? "One choice differs" : `${changes.length} choices differ`),
    el("ul", { class: "changes" }, items), total,
  );
}

function effect(pair) {
  const accuracy = accuracyChange(pair);
  const [before, after] = pair.map((row) => row.values);
  const costs = costNames().filter((name) => isSet(before[name]) && before[name] !== after[name])
    .map((name) => `${changeText(before[name], after[name])} ${titleOf(name)}`);
  return [...costs, accuracy ? pointsText(accuracy.change, accuracy.reach) : ""].filter(Boolean).join(", ");
}

// ---- drawings -----------------------------------------------------------------------------------------------------
async function drawPair(pair, changes, mine) {
  const details = await Promise.all(pair.map((row) => source.detail(row.n, versionOf(row)).catch(() => null)));
  if (mine !== turn) return;
  byId("compare-drawings").replaceChildren(...pair.map((row, i) => {
    if (!details[i]) return el("p", { class: "note" }, `Trial ${row.n} has no drawing here.`);
    const picture = drawn(details[i].drawing, `Drawing of trial ${row.n}: ${row.summary}`);
    const marked = colour(picture, changes, i === 0 ? "before" : "after");
    const holds = ({ path }) => [...marked].some((place) => place === path || place.startsWith(`${path}.`));
    const blocks = new Set((details[i].blocks ?? []).filter(holds).map((block) => block.path));
    return el(
      "figure", { class: `pin-${"ab"[i]}` },
      el("figcaption", {}, el("span", { class: "letter" }, "AB"[i]), ` Trial ${row.n}`),
      el("div", { class: "sheet", tabindex: 0 }, picture), blockTable(details[i].blocks, blocks),
    );
  }));
}

// Mark the narrowest part of a drawing around every change that this network has; returns their paths.
function colour(picture, changes, side) {
  const parts = new Map([...picture.querySelectorAll("[data-path]")].map((part) => [part.dataset.path, part]));
  const marked = new Set();
  for (const change of changes) {
    const only = change.before === null || change.after === null;
    if (change[side] === null || change.path.endsWith(".depth")) continue; // blocks of a depth are changes themselves
    const place = holder(parts, change);
    if (!place) continue;
    marked.add(place);
    parts.get(place).classList.add("changed", only ? "alone" : "altered");
  }
  return marked;
}
