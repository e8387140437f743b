// The figure of the front: trials over a cost, their intervals, limits, and the chosen and pinned ones.
import { Chart, line, mark } from "./chart.js";
import { byId, el, menu, pickButton, shape, segments } from "./dom.js";
import { percent, plural, stateWords, titleOf, valueText } from "./format.js";
import {
  ERROR, accuracyName, baseOf, costNames, frontAxes, intervalOf, isFiltered, isSet, isWithin, measureOf,
  measuredNames, outsideText, shownFront, valueOf,
} from "./model.js";
import { ends } from "./scales.js";
import { choose, state, update, view } from "./state.js";

// Kinds of points, those drawn last on top: their mark, its size, and whether it is filled.
const KINDS = {
  out: ["circle", 2, true, "beyond limits"],
  dominated: ["circle", 2.8, true, "dominated"],
  pruned: ["triangle", 3.6, false, "pruned"],
  frozen: ["square", 3.2, false, "frozen"],
  failed: ["cross", 3.4, false, "failed"],
  running: ["ring", 4.5, false, "running"],
  test: ["star", 5.5, false, "retrained: test"],
  front: ["circle", 5, true, "front"],
};
const FAILED_ABOVE = 9; // pixels of a failed trial above the axis: it has a cost and no result
let chart = null;

export function startFront() {
  const host = byId("front-plot");
  const label = "Scatter plot of the trials; the table of trials below has the same data";
  chart = new Chart(host, { label, pick: choose, tip });
  chart.again = drawFront;
  const own = ["x", "y", "linear", "limits", "floor", "measured", "hidden", "chosen", "pins"];
  view(["doc", "live", "scheme", ...own], drawFront);
}

function drawMenus() {
  const { doc } = state;
  const costs = costNames();
  const others = Object.keys(doc.measures).filter((name) => !costs.includes(name));
  const rising = [
    ...(accuracyName() in doc.measures ? [[ERROR, measureOf(ERROR).title]] : []),
    ...others.concat(costs).map((name) => [name, titleOf(name)]),
  ];
  const across = [...costs, ...others].map((name) => [name, titleOf(name)]);
  const linear = (axis) => {
    const onchange = (event) => update({ linear: { ...state.linear, [axis]: !event.target.checked } });
    const box = el("input", { type: "checkbox", id: `${axis}-log`, onchange });
    box.checked = measureOf(state[axis]).log && !state.linear[axis];
    box.disabled = !measureOf(state[axis]).log;
    return el("label", { class: "check" }, box, "log");
  };
  byId("front-menus").replaceChildren(
    menu("y", rising, state.y, (y) => update({ y }), { id: "y-axis" }), linear("y"),
    menu("x", across, state.x, (x) => update({ x }), { id: "x-axis" }), linear("x"),
    doc.trials.some((row) => row.believed) ? valuesSwitch() : "",
  );
}

function valuesSwitch() {
  const taken = state.measured ? "measured" : "believed";
  const options = [["believed", "believed"], ["measured", "as measured"]];
  return segments("values", options, taken, (kind) => update({ measured: kind === "measured" }));
}

// Rows by the kind of their point, and the values of each.
function sorted(members) {
  const inFront = new Set(members);
  const groups = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, []]));
  for (const row of state.doc.trials) {
    const x = valueOf(row, state.x), y = valueOf(row, state.y);
    if (!isSet(x)) continue;
    const kind = kindOf(row, inFront);
    if (isSet(y)) groups[kind]?.push({ n: row.n, x, y });
    else if (row.state === "failed") groups.failed.push({ n: row.n, x, low: true });
  }
  groups.test = tests();
  return groups;
}

function kindOf(row, inFront) {
  if (row.state !== "complete") return row.state;
  return inFront.has(row.n) ? "front" : isWithin(row) ? "dominated" : "out";
}

// Means of retrained networks on the test part, with their standard deviations.
function tests() {
  if (baseOf(state.y) !== accuracyName()) return [];
  const turn = (value) => (state.y === ERROR ? 1 - value : value);
  return Object.entries(state.doc.retrained ?? {}).flatMap(([number, { test }]) => {
    const row = state.rows.get(Number(number));
    const x = row && valueOf(row, state.x);
    return test && isSet(x) ? [{ n: row.n, x, y: turn(test.mean), spread: test.std ?? 0 }] : [];
  });
}

function drawFront() {
  drawMenus();
  const members = shownFront();
  const groups = sorted(members);
  for (const kind of state.hidden) if (kind in groups) groups[kind] = [];
  const points = Object.values(groups).flat();
  const axis = (name) => {
    const measure = measureOf(baseOf(name) === name ? name : ERROR);
    const log = measure.log && !state.linear[name === state.x ? "x" : "y"];
    const least = name === ERROR ? 0.5 / (state.doc.n_validation ?? 1000) : 0;
    const values = points.filter((p) => !p.low).map((p) => (name === state.x ? p.x : Math.max(p.y, least)));
    return { domain: ends(values, log), log, share: measure.share, integer: name === "trial", title: axisTitle(name) };
  };
  const x = axis(state.x), y = axis(state.y);
  drawLegend(members);
  chart.draw({ x, y, points: [], layers: (plot) => layers(plot, groups, members) });
  const { plot } = chart;
  chart.setPoints(Object.entries(groups).filter(([kind]) => kind !== "test")
    .flatMap(([, those]) => those.map((point) => ({ n: point.n, x: plot.x.place(point.x), y: height(plot, point) }))));
  byId("front-plot").dataset.front = members.join(" ");
  drawNote(members);
}

function axisTitle(name) {
  const falling = name === ERROR || costNames().includes(name);
  const rising = state.doc.axes.some((one) => one.name === name && one.direction === "maximize");
  return `${titleOf(name)}${rising ? " ↑" : falling ? " ↓" : ""}`;
}

const height = (plot, point) => (point.low ? plot.bottom - FAILED_ABOVE : plot.y.place(point.y));

function layers(plot, groups, members) {
  const made = [stepLine(plot, groups.front), ...limitLines(plot), ...bars(plot, groups)];
  for (const [kind, [symbol, radius, filled]] of Object.entries(KINDS)) {
    const path = groups[kind].map((point) => mark(symbol, plot.x.place(point.x), height(plot, point), radius)).join("");
    if (path) made.push(shape("path", { class: `mark ${kind}${filled ? " filled" : ""}`, d: path }));
  }
  return [...made, ...rings(plot)];
}

// Step line of a front of two objectives: what is reached at each cost.
function stepLine(plot, front) {
  const names = frontAxes();
  const shown = names.includes(state.x) && names.includes(baseOf(state.y)) && costNames().includes(state.x);
  if (names.length !== 2 || !shown) return "";
  const at = [...front].sort((a, b) => a.x - b.x).map((point) => [plot.x.place(point.x), plot.y.place(point.y)]);
  if (at.length) at.push([plot.right, at.at(-1)[1]]);
  return shape("path", { class: "front-line", d: line(at, true) });
}

// 90 % intervals of the front, and a standard deviation on each side of a test mean.
function bars(plot, groups) {
  const upright = (point, low, high) => {
    const x = plot.x.place(point.x);
    const [from, to] = [low, high].map((value) => Math.max(plot.top, Math.min(plot.bottom, plot.y.place(value))));
    return `${line([[x, from], [x, to]])}${line([[x - 3, from], [x + 3, from]])}${line([[x - 3, to], [x + 3, to]])}`;
  };
  const intervals = groups.front.map((point) => [point, intervalOf(state.rows.get(point.n), state.y)])
    .filter(([, interval]) => interval);
  const tested = groups.test.filter((point) => point.spread);
  return [
    shape("path", { class: "bars", d: intervals.map(([point, [low, high]]) => upright(point, low, high)).join("") }),
    shape("path", { class: "bars test", d: tested.map((p) => upright(p, p.y - p.spread, p.y + p.spread)).join("") }),
  ];
}

function limitLines(plot) {
  const made = [];
  const limit = state.limits[state.x] ?? state.doc.limits[state.x];
  const [low, high] = plot.x.domain;
  if (limit >= low && limit <= high) {
    const at = plot.x.place(limit);
    made.push(shape("line", { class: "limit", x1: at, x2: at, y1: plot.top, y2: plot.bottom }));
    const place = { x: at - 4, y: plot.top + 10, "text-anchor": "end" };
    made.push(shape("text", { class: "limit", ...place }, `≤ ${valueText(state.x, limit)}`));
  }
  if (state.floor !== null && baseOf(state.y) === accuracyName()) {
    const at = plot.y.place(state.y === ERROR ? 1 - state.floor : state.floor);
    if (at > plot.top && at < plot.bottom) {
      made.push(shape("line", { class: "limit", x1: plot.left, x2: plot.right, y1: at, y2: at }));
      made.push(shape("text", { class: "limit", x: plot.left + 4, y: at - 4 }, `≥ ${percent(state.floor)}`));
    }
  }
  return made;
}

// Rings around the pinned and the chosen trials.
function rings(plot) {
  const ring = (number, kind, letter) => {
    const row = state.rows.get(number);
    const x = row && valueOf(row, state.x), y = row && valueOf(row, state.y);
    if (!isSet(x) || (!isSet(y) && row.state !== "failed")) return [];
    const at = [plot.x.place(x), height(plot, { y, low: !isSet(y) })];
    const text = letter ? shape("text", { class: "letter", x: at[0] + 11, y: at[1] - 8 }, letter) : "";
    return [shape("path", { class: `ring ${kind}`, d: mark("circle", ...at, kind === "chosen" ? 8.5 : 11.5) }), text];
  };
  return [...ring(state.chosen, "chosen"), ...state.pins.flatMap((number, i) => ring(number, "pinned", "AB"[i]))];
}

function drawLegend(members) {
  const counts = sorted(members);
  const present = Object.entries(KINDS).reverse().filter(([kind]) => counts[kind].length);
  const parts = present.map(([kind, [symbol, radius, filled, name]]) => {
    const sign = shape(
      "svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
      shape("path", { class: `mark ${kind}${filled ? " filled" : ""}`, d: mark(symbol, 8, 8, Math.max(radius, 3)) }),
    );
    const words = (state.doc.single && { front: "best", dominated: "trained" }[kind]) || name;
    const toggle = () => {
      const hidden = new Set(state.hidden);
      if (!hidden.delete(kind)) hidden.add(kind);
      update({ hidden });
    };
    return el(
      "button", { type: "button", "aria-pressed": String(!state.hidden.has(kind)), onclick: toggle }, sign,
      `${words} ${counts[kind].length.toLocaleString("en")}`,
    );
  });
  byId("front-legend").replaceChildren(...parts);
}

function drawNote(members) {
  const names = frontAxes().map(titleOf);
  const several = `The front of ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  const what = names.length > 1 ? several : `The best ${names[0]}`;
  const parts = [`${what}${isFiltered() ? " within these limits" : ""}: ${plural(members.length, "network")}.`];
  if (baseOf(state.y) === accuracyName()) {
    const images = state.doc.n_validation;
    if (images) parts.push(`Accuracies are on n = ${images.toLocaleString("en")} validation images.`);
    if (members.some((number) => state.rows.get(number).believed)) parts.push("Bars: 90 % intervals.");
  }
  const picks = isFiltered() ? [] : ["best", "knee"].filter((pick) => state.rows.has(state.doc[pick]));
  const named = picks.flatMap((pick) => [` ${pick[0].toUpperCase()}${pick.slice(1)}: `, pickButton(state.doc[pick]), "."]);
  byId("front-note").replaceChildren(parts.join(" "), ...named);
}

function tip(number) {
  const row = state.rows.get(number);
  const names = [...new Set([state.y, state.x, ...measuredNames().filter((name) => isSet(row.values[name]))])];
  const values = names.map(
    (name) => el("div", {}, `${titleOf(name)} ${valueText(name, valueOf(row, name))}${outsideText(row, name)}`)
  );
  const failure = row.failure ? [el("div", { class: "failure" }, row.failure.slice(0, 160))] : [];
  return [
    el("strong", {}, `Trial ${number}`), ` ${stateWords(row, state.doc.single)}`,
    el("div", { class: "code" }, row.summary), ...values, ...failure,
  ];
}
