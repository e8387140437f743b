// Learning curves: of all trials, and of a few.
import { Chart, line } from "./chart.js";
import { byId, el, menu, shape } from "./dom.js";
import { percent, plural, titleOf, valueText } from "./format.js";
import { isWithin, measureOf, shownFront } from "./model.js";
import { ends } from "./scales.js";
import { choose, state, update, view } from "./state.js";

const MOST_OTHERS = 400; // curves behind the front's, evenly spaced: more of them are a grey area

export function startCurves() {
  const all = new CurvePlot(byId("curves-plot"), "Learning curves of the trials");
  view(["doc"], () => {
    const options = Object.entries(state.doc.curves);
    byId("curves-menus").replaceChildren(
      menu("measure", options, state.curve, (curve) => update({ curve }), { id: "curve" })
    );
  });
  view(["doc", "chosen", "pins", "curve", "limits", "floor", "live", "x", "scheme"], () => all.drawAll());
}

// The curve of a row: of a running trial the live one, which is longer.
export function curveOf(row, measure) {
  const running = state.live?.running?.find((one) => one.trial === row.n)?.curve?.[measure];
  const stored = row.curve?.[measure] ?? [];
  return running && running.length > stored.length ? running : stored;
}

// Epochs of a curve's values: a decimated curve states them, or is evenly spaced.
function epochsOf(row, values) {
  if (row.at?.length === values.length) return row.at;
  const last = Math.max(row.epochs || 0, values.length);
  return values.map((_, i) => (values.length < 2 ? last : 1 + (i * (last - 1)) / (values.length - 1)));
}

export class CurvePlot {
  constructor(host, label) {
    this.chart = new Chart(host, { label, pick: choose, tip: (number) => this.tip(number) });
  }

  drawAll() {
    const trained = state.doc.trials.filter((row) => curveOf(row, "val_accuracy").length && isWithin(row));
    const members = new Set(shownFront());
    const others = trained.filter((row) => !members.has(row.n));
    const every = Math.ceil(others.length / MOST_OTHERS);
    const some = others.filter((_, i) => i % every === 0);
    this.draw([...some, ...trained.filter((row) => members.has(row.n))], state.curve, members);
    const left = others.length - some.length;
    const few = `${plural(some.length, "other")}, evenly spaced of ${others.length.toLocaleString("en")}`;
    const grey = left ? few : "the others";
    byId("curves-note").textContent = `Blue: the front; thin and grey: ${grey}; thick: the chosen trial.`;
  }

  draw(rows, measure, members = new Set()) {
    const curves = rows.map((row) => ({ row, points: points(row, measure) })).filter((one) => one.points.length);
    const chosen = state.rows.get(state.chosen);
    if (chosen && !rows.includes(chosen)) curves.push({ row: chosen, points: points(chosen, measure) });
    const values = curves.flatMap((one) => one.points);
    const { share } = measureOf(measure);
    const most = Math.max(2, ...values.map(([epoch]) => epoch));
    this.chart.draw({
      x: { domain: [Math.min(1, ...values.map(([epoch]) => epoch)), most], integer: true, title: "epoch" },
      y: { domain: ends(values.map(([, value]) => value), false), share, title: titleOf(measure) },
      points: curves.flatMap(
        ({ row, points: those }) => (those.length ? [{ n: row.n, x: those.at(-1)[0], y: those.at(-1)[1] }] : [])
      ),
      layers: (plot) => this.layers(plot, curves, members),
    });
  }

  layers(plot, curves, members) {
    const path = (those) => those.map(
      (one) => line(one.points.map(([x, y]) => [plot.x.place(x), plot.y.place(y)])) + dot(plot, one.points)
    ).join("");
    const kinds = [
      ["other", curves.filter(({ row }) => !members.has(row.n) && row.n !== state.chosen)],
      ["front", curves.filter(({ row }) => members.has(row.n))],
      ["chosen", curves.filter(({ row }) => row.n === state.chosen)],
    ];
    return kinds.map(([kind, those]) => shape("path", { class: `curve ${kind}`, d: path(those) }));
  }

  tip(number) {
    const row = state.rows.get(number);
    const last = points(row, state.curve).at(-1);
    return [
      el("strong", {}, `Trial ${number}`),
      el("div", {}, `epoch ${Math.round(last[0])}: ${valueText(state.curve, last[1])}`),
      el("div", { class: "code" }, row.summary),
    ];
  }
}

// A curve of one epoch is a dot.
function dot(plot, points) {
  return points.length === 1 ? `M${plot.x.place(points[0][0])} ${plot.y.place(points[0][1])}h0.01` : "";
}

function points(row, measure) {
  const values = curveOf(row, measure);
  const epochs = epochsOf(row, values);
  return values.map((value, i) => [epochs[i], value]).filter(([, value]) => value !== null);
}

// A small line of a curve without axes.
export function sparkline(values, width = 120, height = 28) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known), span = Math.max(...known) - low || 1;
  const x = (i) => 2 + ((width - 4) * i) / Math.max(1, known.length - 1);
  const at = known.map((value, i) => [x(i), height - 3 - ((height - 6) * (value - low)) / span]);
  const path = at.length === 1 ? `M${at[0][0]} ${at[0][1]}h0.01` : line(at);
  const label = known.length ? `from ${percent(known[0])} to ${percent(known.at(-1))}` : "no epoch yet";
  const attributes = { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "xMinYMid" };
  return shape("svg", attributes, shape("path", { class: "curve front", d: path }));
}
