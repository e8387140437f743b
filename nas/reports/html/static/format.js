// Numbers and names as text.
import { isSet, measureOf } from "./model.js";

export const titleOf = (name) => measureOf(name).title;

export function percent(value, digits = 1) {
  return isSet(value) ? `${(100 * value).toFixed(digits)} %` : "–";
}

export function valueText(name, value) {
  if (!isSet(value)) return "–";
  if (measureOf(name).share) return percent(value, 1);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

// A count in three digits and a prefix: 174 k.
export function short(value) {
  const size = Math.abs(value);
  for (const [unit, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= 0.9995 * unit) return `${Number((value / unit).toPrecision(3))}${prefix}`;
  }
  return String(Number(value.toPrecision(3)));
}

// A number that a reader typed: 100k, 1.5M, 250,000; null for what is none.
export function parsed(text) {
  const found = /^([\d.]+)\s*([kMG]?)$/.exec(text.replaceAll(",", "").trim());
  const value = found ? Number(found[1]) * { "": 1, k: 1e3, M: 1e6, G: 1e9 }[found[2]] : NaN;
  return Number.isFinite(value) && value > 0 ? value : null;
}

const signed = (text, value) => (value > 0 ? `+${text}` : value < 0 ? `−${text}` : text);

// A relative change: −31 % MACs.
export function changeText(before, after) {
  if (!before || !isSet(after)) return "–";
  const change = after / before - 1;
  if (change > 9.95) return `× ${short(after / before)}`;
  const size = Math.abs(100 * change);
  return `${signed(size >= 10 || size === 0 ? size.toFixed(0) : size.toPrecision(2), change)} %`;
}

// A difference of accuracies in points of percent, with the reach of its interval.
export function pointsText(change, reach) {
  const size = Math.abs(100 * change).toFixed(1);
  return `${signed(size, size === "0.0" ? 0 : change)}${isSet(reach) ? ` ± ${(100 * reach).toFixed(1)}` : ""} points`;
}

export function duration(seconds) {
  if (!isSet(seconds)) return "–";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

const STATES = { complete: "trained", pruned: "pruned", frozen: "frozen", running: "running", failed: "failed" };
export const stateWords = (row, single) => (
  row.front ? (single ? "the best" : "on the front") : STATES[row.state] ?? row.state
);
