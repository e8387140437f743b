// State of the page: the document, and the reader's choices, which stand in the address as well.
export const state = {
  doc: null,
  rows: new Map(),
  live: null,
  chosen: null,
  pins: [],
  x: null,
  y: null,
  linear: { x: false, y: false },
  limits: {},
  floor: null,
  measured: false,
  hidden: new Set(),
  over: "trials",
  curve: null,
  importance: null,
};
const LEAST_WAIT = 250; // milliseconds between two changes of the address
const views = [];
let waiting = null;

// Call `draw` now and whenever one of the keys changes.
export function view(keys, draw) {
  views.push({ keys: new Set(keys), draw });
}

export function update(changes) {
  Object.assign(state, changes);
  if (!waiting) {
    waiting = new Set();
    queueMicrotask(flush);
  }
  for (const key of Object.keys(changes)) waiting.add(key);
}

function flush() {
  const changed = waiting;
  waiting = null;
  for (const { keys, draw } of views) if ([...changed].some((key) => keys.has(key))) draw();
  if (!changed.has("address")) writeSoon();
}

export function setDocument(doc) {
  state.rows = new Map(doc.trials.map((row) => [row.n, row]));
  update({ doc, curve: state.curve ?? Object.keys(doc.curves)[0] });
}

// ---- address ------------------------------------------------------------------------------------------------------
const numbers = (text) => [...new Set(text.split(",").map(Number))].filter((number) => state.rows.has(number));

let written = -Infinity, timer = null;

// Browsers refuse many changes of the address within seconds, such as a slider makes.
function writeSoon() {
  if (timer) return;
  const wait = Math.max(0, written + LEAST_WAIT - performance.now());
  const write = () => {
    [timer, written] = [null, performance.now()];
    writeAddress();
  };
  if (wait) timer = setTimeout(write, wait);
  else write();
}

function writeAddress() {
  const { doc } = state;
  if (!doc) return;
  const parts = new URLSearchParams();
  if (state.chosen !== null && state.chosen !== doc.first) parts.set("trial", state.chosen);
  if (state.pins.length) parts.set("pins", state.pins.join(","));
  if (state.x !== doc.x) parts.set("x", state.x);
  if (state.y !== startMeasure(doc)) parts.set("y", state.y);
  const linear = Object.keys(state.linear).filter((axis) => state.linear[axis]);
  if (linear.length) parts.set("linear", linear.join(","));
  const limits = Object.entries(state.limits).map(([name, most]) => `${name}:${most}`);
  if (limits.length) parts.set("limits", limits.join(","));
  if (state.floor !== null) parts.set("floor", state.floor);
  if (state.measured) parts.set("measured", "1");
  if (state.over !== "trials") parts.set("over", state.over);
  const hash = parts.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  if (hash === location.hash.slice(1)) return;
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

export const startMeasure = (doc) => (doc.y === "val_accuracy" ? "val_error" : doc.y);

// Read the address; what it does not name is as at the start.
export function readAddress() {
  const { doc } = state;
  const parts = new URLSearchParams(location.hash.slice(1));
  const known = (name, otherwise) => (name && (name in doc.measures || name === "val_error") ? name : otherwise);
  const chosen = parts.has("trial") ? Number(parts.get("trial")) : doc.first;
  const linear = (parts.get("linear") || "").split(",");
  const pairs = (parts.get("limits") || "").split(",").map((pair) => pair.split(":"));
  const limits = pairs.filter(([name, most]) => name in doc.measures && Number(most) > 0);
  const floor = Number(parts.get("floor"));
  update({
    chosen: state.rows.has(chosen) ? chosen : doc.first,
    pins: parts.has("pins") ? numbers(parts.get("pins")).slice(0, 2) : [],
    x: known(parts.get("x"), doc.x),
    y: known(parts.get("y"), startMeasure(doc)),
    linear: { x: linear.includes("x"), y: linear.includes("y") },
    limits: Object.fromEntries(limits.map(([name, most]) => [name, Number(most)])),
    floor: parts.has("floor") && floor > 0 && floor <= 1 ? floor : null,
    measured: parts.get("measured") === "1",
    over: ["trials", "seconds", "clock"].includes(parts.get("over")) ? parts.get("over") : "trials",
    address: true,
  });
}

// ---- choices of the reader ----------------------------------------------------------------------------------------
export function choose(number) {
  if (state.rows.has(number)) update({ chosen: number });
}

// Pin a trial, the older of two pins giving way, or unpin it.
export function pin(number) {
  const kept = state.pins.filter((one) => one !== number);
  update({ pins: kept.length < state.pins.length ? kept : [...state.pins, number].slice(-2) });
}
