// Hypervolume, or the best value, over ended trials, seconds of training or the clock.
import { Chart, line } from "./chart.js";
import { byId, el, segments, shape } from "./dom.js";
import { duration, titleOf, valueText } from "./format.js";
import { isSet, measureOf } from "./model.js";
import { ends } from "./scales.js";
import { state, update, view } from "./state.js";

const OVER = { trials: "ended trials", seconds: "training, summed over trials", clock: "clock of the search" };
const UNITS = [[172800, 86400, ", days"], [7200, 3600, ", hours"], [180, 60, ", minutes"], [0, 1, ", seconds"]];
const MOST = 600; // points of the line: as many as there are pixels
let chart = null;

export function startProgress() {
  chart = new Chart(byId("progress-plot"), { label: "Progress of the search", pick: () => {}, tip });
  view(["doc", "over", "scheme"], drawProgress);
}

function drawProgress() {
  const { progress } = state.doc;
  const known = Object.keys(OVER).filter((over) => progress[over]?.length);
  const over = known.includes(state.over) ? state.over : "trials";
  byId("progress-menus").replaceChildren(
    segments(
      "over", known.map((name) => [name, name === "seconds" ? "training time" : name]), over,
      (taken) => update({ over: taken }),
    )
  );
  const at = progress[over] ?? [];
  const longest = at.at(-1) ?? 1;
  const [, unit, word] = over === "trials" ? [0, 1, ""] : UNITS.find(([least]) => longest >= least);
  const points = thinned(
    at.map((x, i) => ({ n: i, x: x / unit, y: progress.values[i] })).filter((point) => isSet(point.y))
  );
  const { share } = measureOf(progress.measure);
  chart.draw({
    x: { domain: [0, longest / unit || 1], integer: over === "trials", title: `${OVER[over]}${word}` },
    y: { domain: ends(points.map((point) => point.y), false), share, title: titleOf(progress.measure) },
    points,
    layers: (plot) => {
      const path = line(points.map((point) => [plot.x.place(point.x), plot.y.place(point.y)]), true);
      return [shape("path", { class: "curve front", d: path })];
    },
  });
}

// The steps alone, the first and the last point; of many, some evenly spaced.
function thinned(points) {
  const steps = points.filter((point, i) => i === 0 || i === points.length - 1 || point.y !== points[i - 1].y);
  const every = Math.ceil(steps.length / MOST);
  return steps.filter((_, i) => i % every === 0 || i === steps.length - 1);
}

function tip(index) {
  const { progress } = state.doc;
  const lines = [
    `after ${progress.trials[index].toLocaleString("en")} trials`, `${duration(progress.seconds[index])} of training`,
  ];
  if (progress.clock) lines.push(`${duration(progress.clock[index])} by the clock`);
  return [
    el("strong", {}, valueText(progress.measure, progress.values[index])), ...lines.map((text) => el("div", {}, text)),
  ];
}
