// Sliders for the limits of costs and the floor of the accuracy, and the same as a command.
import { byId, button, command, el } from "./dom.js";
import { parsed, percent, titleOf, valueText } from "./format.js";
import { accuracyName, costNames, isFiltered, isSet, valueOf } from "./model.js";
import { state, update, view } from "./state.js";

const STEPS = 1000;
let made = null;

export function startFilters() {
  view(["doc"], () => {
    const key = costNames().join();
    if (made !== key) build();
    made = key;
  });
  view(["doc", "limits", "floor"], refresh);
}

function range(name) {
  const values = state.doc.trials.map((row) => row.values[name]).filter((value) => value > 0);
  return values.length ? [Math.min(...values), Math.max(...values)] : [1, 1];
}

function floorRange() {
  const values = state.doc.trials.map((row) => valueOf(row, accuracyName(), true)).filter(isSet);
  return values.length ? [
    Math.floor(100 * Math.min(...values)) / 100, Math.ceil(1000 * Math.max(...values)) / 1000,
  ] : [0, 1];
}

// Sliders of costs move on a logarithmic scale; at the right end there is no limit.
function build() {
  const sliders = costNames().filter((name) => range(name)[1] > range(name)[0]).map((name) => {
    const slide = slider(`limit-${name}`, `most ${titleOf(name)}`, (step) => setLimit(name, fromSlider(name, step)));
    const typed = field(`typed-${name}`, `most ${titleOf(name)}, typed`, (text) => setLimit(name, parsed(text)));
    return el("div", { class: "slider" }, el("span", {}, `${titleOf(name)} ≤`), typed, slide);
  });
  const floor = slider("floor", "least accuracy", setFloor);
  const typed = field("typed-floor", "least accuracy in percent, typed", (text) => update({ floor: asShare(text) }));
  const trained = state.doc.trials.some((row) => isSet(row.values[accuracyName()]));
  if (trained) sliders.push(el("div", { class: "slider" }, el("span", {}, "accuracy ≥"), typed, floor));
  byId("filters").replaceChildren(...sliders);
}

function slider(id, label, take) {
  const oninput = (event) => take(Number(event.target.value));
  return el("input", { type: "range", min: 0, max: STEPS, id, "aria-label": label, oninput });
}

function field(id, label, take) {
  const onchange = (event) => take(event.target.value);
  return el("input", { type: "text", inputmode: "decimal", id, "aria-label": label, placeholder: "any", onchange });
}

function asShare(text) {
  const value = parsed(text.replace("%", ""));
  return value === null || value > 100 ? null : value / 100;
}

function fromSlider(name, step) {
  if (step >= STEPS) return null;
  const [low, high] = range(name);
  const value = low * (high / low) ** (step / STEPS);
  return Number.isInteger(low) ? Math.ceil(value) : Number(value.toPrecision(4));
}

function setLimit(name, most) {
  const limits = { ...state.limits };
  if (most === null) delete limits[name];
  else limits[name] = most;
  update({ limits });
}

function setFloor(step) {
  const [low, high] = floorRange();
  update({ floor: step <= 0 ? null : Number((low + (high - low) * (step / STEPS)).toFixed(4)) });
}

function refresh() {
  for (const name of costNames()) {
    const slide = byId(`limit-${name}`);
    if (!slide) continue;
    const [low, high] = range(name), most = state.limits[name];
    const step = most === undefined ? STEPS : Math.round((STEPS * Math.log(most / low)) / Math.log(high / low));
    if (document.activeElement !== slide) slide.value = String(Math.max(0, Math.min(STEPS, step)));
    byId(`typed-${name}`).value = most === undefined ? "" : valueText(name, most);
  }
  const floor = byId("floor");
  if (floor) {
    const [low, high] = floorRange();
    const step = state.floor === null ? 0 : Math.round((STEPS * (state.floor - low)) / (high - low));
    if (document.activeElement !== floor) floor.value = String(step);
    byId("typed-floor").value = state.floor === null ? "" : percent(state.floor);
  }
  const limits = Object.entries(state.limits).map(([name, most]) => ` limits.max_${name}=${most}`).join("");
  const reset = button("Reset limits", { class: "plain" }, () => update({ limits: {}, floor: null }));
  const parts = isFiltered() ? [reset] : [];
  const asked = state.doc.commands?.retrain?.replace(/^nas retrain/, "nas front").replace(/ pick=$/, "");
  if (limits && asked) parts.push(command(`${asked}${limits}`));
  byId("filters-note").replaceChildren(...parts);
}
