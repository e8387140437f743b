// Differences of two trials' choices, by path and in words, as `search_space/differences.py` states them.
import { state } from "./state.js";

const TELLING = /\.(factorization|pool\.pool)$/; // values that say themselves what they set
const DRAWN = { grid: "reduction", auxiliary: "aux" };

// Flat choices of a row: its values by path, of the choices that are active.
export function choicesOf(row) {
  const { names, options } = state.doc.choices ?? { names: [], options: [] };
  const found = new Map();
  (row.choices ?? []).forEach((index, i) => { if (index >= 0) found.set(names[i], options[i][index]); });
  return found;
}

// Changes from one row to another: {path, before, after, text}; a part that one alone has is its [path, value] pairs.
export function differences(before, after) {
  const a = choicesOf(before), b = choicesOf(after);
  const partsOfA = prefixes(a), partsOfB = prefixes(b), foreign = foreignBlocks(a, b);
  const found = new Map();
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const block = foreign.find((one) => path.startsWith(`${one}.`));
    if (block !== undefined) found.set(block, [within(a, block), within(b, block)]);
    else if (!b.has(path)) found.set(...alone(a, path, partsOfB));
    else if (!a.has(path)) found.set(...alone(b, path, partsOfA).map((value, i) => (i ? value.reverse() : value)));
    else if (a.get(path) !== b.get(path)) found.set(path, [a.get(path), b.get(path)]);
  }
  const changes = [...found].map(
    ([path, [from, to]]) => ({ path, before: from, after: to, text: words(path, from, to) })
  );
  return changes.map((change, i) => [position(change.path), i, change])
    .sort(([p, i], [q, k]) => p[0] - q[0] || p[1] - q[1] || i - k).map(([, , change]) => change);
}

// The largest part of `choices` around a path that the other network lacks, with its value and none.
function alone(choices, path, others) {
  const part = ownPart(path, others);
  return [part, [choices.has(part) ? choices.get(part) : within(choices, part), null]];
}

// Blocks that are of another family: each is one change.
function foreignBlocks(a, b) {
  return [...a.keys()].filter((path) => path.endsWith(".family") && b.has(path) && a.get(path) !== b.get(path))
    .map((path) => path.slice(0, -".family".length));
}

function prefixes(choices) {
  const found = new Set();
  for (const path of choices.keys()) {
    const steps = path.split(".");
    for (let count = 1; count <= steps.length; count += 1) found.add(steps.slice(0, count).join("."));
  }
  return found;
}

// The largest part around a choice that is not among the parts of the other network.
function ownPart(path, others) {
  const steps = path.split(".");
  for (let count = 1; count <= steps.length; count += 1) {
    const part = steps.slice(0, count).join(".");
    if (!others.has(part)) return part;
  }
  return path;
}

function within(choices, part) {
  return [...choices].filter(([path]) => path.startsWith(`${part}.`)).map(
    ([path, value]) => [path.slice(part.length + 1), value]
  );
}

function position(path) {
  if (path === "dropout") return [Infinity, 0];
  const found = /^stage(\d+)(?:\.block(\d+))?/.exec(path);
  return found ? [Number(found[1]), found[2] === undefined ? -1 : Number(found[2])] : [-1, 0];
}

function words(path, before, after) {
  const named = TELLING.test(path) ? path.slice(0, path.lastIndexOf(".")) : path;
  return `${named}: ${valueWords(before)} → ${valueWords(after)}`;
}

export function valueWords(value) {
  if (value === null || value === undefined) return "absent";
  if (!Array.isArray(value)) return word(value);
  const kind = value.find(([path]) => path === "family")?.[1] ?? "";
  const rest = value.filter(([path]) => path !== "family");
  const nested = rest.some(([path]) => path.includes("."));
  const parts = new Set(rest.map(([path, choice]) => (nested ? path.split(".")[0] : `${path} ${word(choice)}`)));
  const inner = [...parts];
  return kind && inner.length ? `${kind} (${inner.join(", ")})` : kind || inner.join(", ");
}

const WORDS = new Map([[true, "True"], [false, "False"], [null, "None"]]);
const word = (value) => WORDS.get(value) ?? String(value);

// Path of what is changed in a drawing or a table of blocks.
export const placeOf = (path) => path.split(".").map((step) => DRAWN[step] ?? step).join(".");

// The place of the narrowest part of a drawing that holds a change, empty if there is none.
export function holder(places, change) {
  let place = placeOf(change.path);
  while (place && !places.has(place)) place = place.includes(".") ? place.slice(0, place.lastIndexOf(".")) : "";
  return place;
}
