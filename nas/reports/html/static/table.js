// Table of all trials: sorted, filtered, and with elements for the visible rows alone.
import { byId, el, menu, pickButton, rowHead } from "./dom.js";
import { percent, plural, stateWords, titleOf, valueText } from "./format.js";
import { accuracyName, costNames, isSet, measuredNames, isWithin, shownFront, valueOf } from "./model.js";
import { state, view } from "./state.js";

const BEYOND = 8; // rows above and below the visible ones
const own = { sort: null, falling: true, words: "", kind: "all" };
let height = 31, rows = [], members = new Set();

export function startTable() {
  byId("trials-scroll").addEventListener("scroll", drawRows, { passive: true });
  new ResizeObserver(drawRows).observe(byId("trials-scroll"));
  byId("trials-filter").addEventListener("input", (event) => { own.words = event.target.value.toLowerCase(); anew(); });
  byId("trials-head").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.name;
    if (name) sortBy(name);
  });
  view(["doc"], drawKinds);
  view(["doc", "limits", "floor", "x", "measured"], refresh);
  view(["chosen", "pins"], drawRows);
}

function drawKinds() {
  const counts = new Map([["all", state.doc.trials.length], ["front", state.doc.front.length]]);
  for (const row of state.doc.trials) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
  const named = { all: "all trials", front: "the front" };
  const options = [...counts].map(([kind, count]) => [kind, `${named[kind] ?? kind} (${count.toLocaleString("en")})`]);
  byId("trials-kinds").replaceChildren(
    menu("show", options, own.kind, (kind) => { own.kind = kind; anew(); }, { id: "trials-kind" })
  );
}

// Columns as [name, title, value for sorting, text, whether a number].
function columns() {
  const accuracy = accuracyName();
  const first = accuracy in state.doc.measures ? [accuracy] : [];
  const names = new Set([...first, ...state.doc.axes.map((axis) => axis.name), ...costNames(), ...measuredNames()]);
  const number = (name) => [name, titleOf(name), (row) => valueOf(row, name), (row) => numberText(row, name), true];
  const share = (row) => row.believed?.p_front;
  const known = state.doc.trials.some((row) => isSet(share(row)));
  return [
    ["trial", "trial", (row) => row.n, null, true],
    ["state", "state", (row) => stateWords(row, state.doc.single), (row) => stateWords(row, state.doc.single), false],
    ...[...names].map(number),
    ...(known ? [["p_front", "p(front)", share, (row) => share(row)?.toFixed(2) ?? "", true]] : []),
    ["epochs", "epochs", (row) => row.epochs, (row) => String(row.epochs), true],
    ["seconds", "seconds", (row) => row.values.seconds, (row) => (row.values.seconds ?? 0).toFixed(1), true],
    ["summary", "network", (row) => row.summary, null, false],
  ];
}

function numberText(row, name) {
  const value = valueOf(row, name);
  if (name !== accuracyName() || !row.believed || state.measured) return valueText(name, value);
  return `${percent(value)} ± ${(50 * (row.believed.high - row.believed.low)).toFixed(1)}`;
}

function sortBy(name) {
  const rising = ["trial", "state", "summary"].includes(name) || name in state.doc.measures && name !== accuracyName();
  if (own.sort === name) own.falling = !own.falling;
  else Object.assign(own, { sort: name, falling: !rising });
  anew();
}

// Other rows, from the first on.
function anew() {
  byId("trials-scroll").scrollTop = 0;
  refresh();
}

function refresh() {
  members = new Set(shownFront());
  const all = columns();
  if (!all.some(([name]) => name === own.sort)) {
    own.falling = accuracyName() in state.doc.measures;
    own.sort = own.falling ? accuracyName() : "trial";
  }
  const value = all.find(([name]) => name === own.sort)[2];
  rows = state.doc.trials.filter((row) => belongs(row)).map((row) => [value(row), row]);
  rows.sort(([a, p], [b, q]) => compare(a, b) || p.n - q.n);
  rows = rows.map(([, row]) => row);
  drawHead(all);
  const every = `${plural(state.doc.trials.length, "trial")}.`;
  const some = rows.length < state.doc.trials.length ? `${rows.length.toLocaleString("en")} of ` : "";
  byId("trials-count").textContent = some + every;
  drawRows();
}

function belongs(row) {
  if (!isWithin(row)) return false;
  if (own.kind === "front" ? !row.front : own.kind !== "all" && row.state !== own.kind) return false;
  if (!own.words) return true;
  return `${row.n} ${row.id} ${row.state} ${row.summary} ${row.failure ?? ""}`.toLowerCase().includes(own.words);
}

// Unknown values stand last in both directions.
function compare(a, b) {
  if (!isSet(a) || !isSet(b)) return isSet(b) - isSet(a);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return own.falling ? -order : order;
}

function drawHead(all) {
  byId("trials-head").replaceChildren(...all.map(([name, title, , , number]) => {
    const order = name === own.sort ? (own.falling ? "descending" : "ascending") : null;
    return el(
      "th", { scope: "col", "aria-sort": order, class: number ? "number" : null },
      el("button", { type: "button", class: "sort", "data-name": name }, title),
    );
  }));
}

function drawRows() {
  if (!state.doc) return;
  const scroll = byId("trials-scroll"), body = byId("trials-body");
  const first = Math.max(0, Math.min(Math.floor(scroll.scrollTop / height), rows.length - 1) - BEYOND);
  const count = Math.ceil((scroll.clientHeight || 600) / height) + 2 * BEYOND;
  const all = columns();
  const shown = rows.slice(first, first + count);
  const room = (size) => {
    const made = el("tr", { class: "room", "aria-hidden": "true" }, el("td", { colspan: all.length }));
    made.firstChild.style.height = `${size * height}px`;
    return made;
  };
  body.replaceChildren(
    ...(first ? [room(first)] : []), ...shown.map((row, i) => rowOf(row, first + i, all)),
    ...(first + count < rows.length ? [room(rows.length - first - count)] : [])
  );
  byId("all").setAttribute("aria-rowcount", String(rows.length + 1));
  const one = body.querySelector("tr:not(.room)");
  if (one?.offsetHeight && Math.abs(one.offsetHeight - height) > 1) {
    height = one.offsetHeight;
    drawRows();
  }
}

function rowOf(row, place, all) {
  const cells = all.map(([name, , , text, number]) => {
    if (name === "trial") return rowHead(pickButton(row.n), "number");
    if (name === "summary") return el(
      "td", { class: "code", title: row.failure ?? row.summary },
      row.failure ? el("span", { class: "failure" }, `${row.failure.split("\n")[0]} `) : "", row.summary,
    );
    const pinned = name === "state" && state.pins.includes(row.n) ? ` · pin ${"AB"[state.pins.indexOf(row.n)]}` : "";
    return el("td", { class: number ? "number" : null }, `${text(row)}${pinned}`);
  });
  return el(
    "tr",
    {
      "aria-rowindex": place + 2, "aria-current": row.n === state.chosen ? "true" : null,
      class: members.has(row.n) ? "on-front" : row.state,
    },
    cells,
  );
}
