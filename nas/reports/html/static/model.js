// Values of trials, the filter of limits and floor, and fronts for any cost.
import { state } from "./state.js";

export const ERROR = "val_error";
export const isSet = (value) => value !== null && value !== undefined;

export function accuracyName() {
  return state.doc.y in (state.doc.measures || {}) && /accuracy/.test(state.doc.y) ? state.doc.y : "val_accuracy";
}

// The measure behind a name: an error is one minus an accuracy.
export const baseOf = (name) => (name === ERROR ? accuracyName() : name);

function turned(name, value) {
  return name === ERROR && isSet(value) ? 1 - value : value;
}

// Value as measured, or as believed from all trainings where that is known.
export function valueOf(row, name, measured = state.measured) {
  const base = baseOf(name);
  if (!isSet(row.values[base]) && row.state === "running") return turned(name, liveValue(row, base));
  if (!measured && row.believed && base === accuracyName()) return turned(name, row.believed.mean);
  return turned(name, row.values[base]);
}

// Value after the latest epoch of a trial that runs.
function liveValue(row, base) {
  return state.live?.running?.find((one) => one.trial === row.n)?.curve?.[base]?.filter(isSet).at(-1) ?? null;
}

// The ends of the 90 % interval of a believed accuracy or its error, lower end first; null for other measures.
export function intervalOf(row, name) {
  if (!row.believed || baseOf(name) !== accuracyName()) return null;
  const { low, high } = row.believed;
  return name === ERROR ? [1 - high, 1 - low] : [low, high];
}

export const costNames = () => state.doc.costs ?? Object.keys(state.doc.measures).filter(
  (name) => state.doc.measures[name].log
);

// Latencies that were measured, each on a device.
export const measuredNames = () => Object.keys(state.doc.measures).filter((name) => state.doc.measures[name].measured);

export const outsideText = (row, name) => (row.extrapolated?.includes(name) ? " (outside the fitted range)" : "");

export function measureOf(name) {
  if (name === ERROR) return { title: "validation error", log: true, share: true };
  return state.doc.measures[name] ?? {
    title: state.doc.curves?.[name] ?? name.replaceAll("_", " "), log: false, share: false,
  };
}

export function isWithin(row) {
  for (const [name, most] of Object.entries(state.limits)) if (!(row.values[name] <= most)) return false;
  if (state.floor === null) return true;
  const value = valueOf(row, accuracyName());
  return isSet(value) && value >= state.floor;
}

export const isFiltered = () => state.floor !== null || Object.keys(state.limits).length > 0;

// Whether smaller is better.
function falls(name) {
  const axis = state.doc.axes.find((one) => one.name === name);
  return axis ? axis.direction === "minimize" : name !== accuracyName();
}

// The objectives of the front that is shown: those of the study, or the accuracy and another cost.
export function frontAxes() {
  const own = state.doc.axes.map((axis) => axis.name);
  const x = state.x, y = baseOf(state.y);
  if (state.doc.single || (own.includes(x) && own.includes(y))) return own;
  if (!costNames().includes(x) || y !== accuracyName()) return own;
  return [y, x];
}

// The study's own front where nothing is changed, else that of the trials within the limits; cheapest first.
export function shownFront() {
  const names = frontAxes();
  const own = state.doc.axes.map((axis) => axis.name);
  const same = names.length === own.length && names.every((name) => own.includes(name));
  const cheap = costNames().includes(state.x) ? state.x : names.find(falls) ?? names[0];
  const order = (numbers) => numbers.sort(
    (a, b) => (state.rows.get(a).values[cheap] ?? 0) - (state.rows.get(b).values[cheap] ?? 0) || a - b
  );
  if (same && !isFiltered() && !state.measured) return order([...state.doc.front]);
  return order(
    nondominated(state.doc.trials.filter((row) => row.state === "complete" && isWithin(row)), names).map((row) => row.n)
  );
}

// The rows that no other row dominates, by believed values; of equal ones the first.
export function nondominated(rows, names) {
  const signs = names.map((name) => (falls(name) ? 1 : -1));
  const points = rows.map((row) => ({ row, at: names.map((name, i) => signs[i] * valueOf(row, name)) }))
    .filter(({ at }) => at.every(Number.isFinite));
  points.sort((a, b) => compareAll(a.at, b.at));
  const kept = [];
  for (const point of points) {
    if (!kept.some(({ at }) => at.every((value, i) => value <= point.at[i]))) kept.push(point);
  }
  return kept.map(({ row }) => row);
}

function compareAll(a, b) {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}
