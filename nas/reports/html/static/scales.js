// Scales of axes, and ticks whose labels differ and do not touch.
import { short } from "./format.js";

const MANTISSAS = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];
const context = document.createElement("canvas").getContext("2d");

export function textWidth(text, size = 12) {
  context.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return context.measureText(text).width;
}

// Ends of the values with room beside them; positive for a logarithmic scale.
export function ends(values, log) {
  const known = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!known.length) return log ? [0.1, 1] : [0, 1];
  let low = Infinity, high = -Infinity;
  for (const value of known) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (log) {
    const room = Math.max((high / low) ** 0.05, 1.03);
    return [low / room, high * room];
  }
  const room = 0.05 * (high - low) || Math.abs(high) * 0.05 || 0.5;
  return [low - room, high + room];
}

// A map from values to pixels. Values that a logarithm does not know stand at the low end.
export function makeScale({ domain, log = false, share = false, integer = false }, from, to) {
  const through = log ? Math.log : (value) => value;
  const [low, high] = domain.map(through);
  const place = (value) => {
    const at = log && value <= 0 ? low : through(value);
    return from + ((at - low) / (high - low || 1)) * (to - from);
  };
  const invert = (pixel) => {
    const at = low + ((pixel - from) / (to - from)) * (high - low);
    return log ? Math.exp(at) : at;
  };
  return { place, invert, domain, log, share, integer, from, to };
}

// Ticks as {value, at, text}, the densest set whose labels keep `gap` pixels apart.
export function ticks(scale, upright, gap = upright ? 28 : 24) {
  for (const values of candidates(scale)) {
    const made = values.map((value) => ({ value, at: scale.place(value), text: tickText(scale, value, values) }));
    const differ = new Set(made.map((tick) => tick.text)).size === made.length;
    if (made.length && differ && apart(made, upright, gap)) return made;
  }
  return [];
}

function* candidates(scale) {
  if (scale.log) {
    for (const mantissas of MANTISSAS) {
      const values = logarithmic(scale.domain, mantissas, 1);
      if (values.length >= 3) yield values;
    }
    for (const every of [2, 3, 4, 6]) {
      const values = logarithmic(scale.domain, [1], every);
      if (values.length >= 3) yield values;
    }
  }
  yield* linear(scale);
}

function logarithmic([low, high], mantissas, every) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    if (power % every) continue;
    for (const mantissa of mantissas) {
      const value = Number(`${mantissa}e${power}`);
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

function* linear({ domain: [low, high], integer }) {
  const start = Math.floor(Math.log10((high - low) / 20));
  for (let power = start; power < start + 4; power += 1) {
    for (const mantissa of [1, 2, 5]) {
      const step = mantissa * 10 ** power;
      if (integer && step < 1) continue;
      const values = [];
      const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
      for (let i = first; i <= last; i += 1) values.push(Number((i * step).toPrecision(12)));
      yield values;
    }
  }
}

// Percentages have as many digits as they need: all alike on a linear scale, each its own on a logarithmic one.
function tickText({ share, log }, value, values) {
  if (!share) return short(value);
  const digits = log ? digitsOf(value) : Math.max(...values.map(digitsOf));
  return `${(100 * value).toFixed(digits)} %`;
}

function digitsOf(share) {
  const value = 100 * share;
  return [0, 1, 2, 3].find((digits) => Math.abs(Number(value.toFixed(digits)) - value) < 1e-6) ?? 4;
}

function apart(made, upright, gap) {
  for (let i = 1; i < made.length; i += 1) {
    const room = upright ? 0 : (textWidth(made[i].text) + textWidth(made[i - 1].text)) / 2;
    if (Math.abs(made[i].at - made[i - 1].at) < room + gap) return false;
  }
  return true;
}
