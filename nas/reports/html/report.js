"use strict";
// Draws the figures of the report from the data in the page, and connects points, tables and drawings.
// Every text of a study is inserted by textContent or as an escaped label of Plotly.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const trials = data.trials;
  const FAILED_HEIGHT = 0.015; // height, as a share of the figure, of failed trials, which have a cost but no result
  let chosen = data.first;
  if (!trials.length) {
    document.documentElement.dataset.ready = "true";
    return;
  }

  // ---- text and colours -------------------------------------------------------------------------------------------
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const titleOf = (name) => (data.measures[name] ? data.measures[name].title : data.curves[name] || name.replace(/_/g, " "));

  function valueText(name, value) {
    if (value === null || value === undefined) return "–";
    if (data.measures[name] && data.measures[name].share) return `${(100 * value).toFixed(1)} %`;
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return value.toLocaleString("en", { maximumSignificantDigits: 4 });
  }

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // ---- figures ----------------------------------------------------------------------------------------------------
  const config = {
    displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], showTips: false,
    displayModeBar: matchMedia("(hover: none)").matches ? false : "hover",
  };

  function layout(extra) {
    const axis = {
      gridcolor: colour("grid"), linecolor: colour("rule"), zeroline: false, automargin: true, ticks: "outside",
      tickcolor: colour("rule"), title: { standoff: 8 },
    };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 48, r: 12, t: 36, b: 44 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", itemsizing: "constant" },
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("rule"), font: { color: colour("ink") }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("dominated"), activecolor: colour("ink") },
      hovermode: "closest", ...extra, xaxis: { ...axis, ...extra.xaxis }, yaxis: { ...axis, ...extra.yaxis },
    };
  }

  function axisOf(name) {
    const measure = data.measures[name];
    const axis = { title: { text: escaped(measure.title), standoff: 8 }, type: measure.log ? "log" : "linear" };
    if (measure.log) Object.assign(axis, { dtick: "D2", tickformat: "~s", minor: { showgrid: false } });
    if (measure.share) axis.tickformat = ".0%";
    if (name === "trial") axis.tickformat = "d";
    return axis;
  }

  function hoverText(trial, names) {
    const values = names.map((name) => `${escaped(titleOf(name))} ${valueText(name, trial.values[name])}`).join("<br>");
    const state = trial.front ? (data.single ? "best" : "front") : trial.state;
    const network = escaped(trial.summary).replace(/(.{48}[^ ]*) /g, "$1<br>");
    const failure = trial.failure ? `<br>${escaped(trial.failure).slice(0, 160)}` : "";
    return `<b>trial ${trial.n}</b> ${state}<br>${network}<br>${values}${failure}`;
  }

  function scatter(those, name, marker, xName, yName) {
    return {
      type: "scatter", mode: "markers", name: `${name} (${those.length})`, marker, cliponaxis: false,
      x: those.map((trial) => trial.values[xName]), y: those.map((trial) => trial.values[yName]),
      customdata: those.map((trial) => trial.n), text: those.map((trial) => hoverText(trial, [yName, xName])),
      hovertemplate: "%{text}<extra></extra>",
    };
  }

  const has = (trial, name) => trial.values[name] !== null && trial.values[name] !== undefined;

  function frontTraces(xName, yName) {
    const drawn = trials.filter((trial) => has(trial, xName) && has(trial, yName));
    const groups = [
      ["dominated", (t) => t.state === "complete" && !t.front, { color: colour("dominated"), size: 7, opacity: 0.75 }],
      ["pruned", (t) => t.state === "pruned", { color: colour("pruned"), size: 8, symbol: "diamond-open" }],
      ["unfinished", (t) => t.state === "running" || t.state === "frozen", { color: colour("muted"), size: 9, symbol: "circle-open-dot" }],
      ["failed", (t) => t.state === "failed", { color: colour("failed"), size: 9, symbol: "x-thin-open" }],
      [data.single ? "best" : "front", (t) => t.front,
        { color: colour("front"), size: 10, line: { color: colour("page"), width: 1 } }],
    ];
    if (data.single) groups[0][0] = "trained";
    const traces = groups.map(([name, belongs, marker]) => scatter(drawn.filter(belongs), name, marker, xName, yName))
      .filter((trace) => trace.x.length);
    const failed = trials.filter((trial) => has(trial, xName) && !has(trial, yName) && trial.state === "failed");
    if (failed.length) {
      const trace = scatter(failed, "failed, at its cost",
        { color: colour("failed"), size: 9, symbol: "x-thin", line: { color: colour("failed"), width: 1.5 } }, xName, yName);
      traces.push({ ...trace, y: failed.map(() => FAILED_HEIGHT), yaxis: "y2" });
    }
    const line = frontLine(drawn, xName, yName);
    return [...line, ...traces, selectionRing(xName, yName)];
  }

  // Step line of the front, if the two measures are all objectives and the one on the x axis is minimised.
  function frontLine(drawn, xName, yName) {
    const xAxis = data.axes.find((axis) => axis.name === xName);
    const yAxis = data.axes.find((axis) => axis.name === yName);
    if (data.axes.length !== 2 || !xAxis || !yAxis || xAxis.direction !== "minimize") return [];
    const members = drawn.filter((trial) => trial.front).sort((a, b) => a.values[xName] - b.values[xName]);
    return [{
      type: "scatter", mode: "lines", x: members.map((t) => t.values[xName]), y: members.map((t) => t.values[yName]),
      line: { shape: "hv", color: colour("front"), width: 1.25 }, hoverinfo: "skip", showlegend: false,
    }];
  }

  function selectionRing(xName, yName) {
    const one = trials.filter((trial) => trial.n === chosen && has(trial, xName));
    const place = one.some((trial) => has(trial, yName)) ? { y: one.map((t) => t.values[yName]) } : { y: one.map(() => FAILED_HEIGHT), yaxis: "y2" };
    return {
      type: "scatter", mode: "markers", x: one.map((t) => t.values[xName]), ...place,
      marker: { symbol: "circle-open", size: 17, color: colour("chosen"), line: { width: 2.5 } }, hoverinfo: "skip",
      showlegend: false, cliponaxis: false,
    };
  }

  function limitLines(xName, yName) {
    const shapes = [], annotations = [];
    const line = { color: colour("limit"), width: 1.5, dash: "dash" };
    const font = { color: colour("limit"), size: 11 };
    const place = (name) => (data.measures[name].log ? Math.log10(data.limits[name]) : data.limits[name]);
    if (xName in data.limits) {
      shapes.push({ type: "line", xref: "x", yref: "paper", x0: data.limits[xName], x1: data.limits[xName], y0: 0, y1: 1, line });
      annotations.push({ xref: "x", yref: "paper", x: place(xName), y: 0.01, text: `limit ${valueText(xName, data.limits[xName])}`,
        textangle: -90, xanchor: "right", yanchor: "bottom", showarrow: false, font });
    }
    if (yName in data.limits) {
      shapes.push({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: data.limits[yName], y1: data.limits[yName], line });
      annotations.push({ xref: "paper", yref: "y", x: 0.01, y: place(yName), text: `limit ${valueText(yName, data.limits[yName])}`,
        xanchor: "left", yanchor: "bottom", showarrow: false, font });
    }
    return { shapes, annotations };
  }

  function drawFront() {
    const xName = byId("x-axis").value, yName = byId("y-axis").value;
    const second = { overlaying: "y", range: [0, 1], visible: false, fixedrange: true };
    const figureLayout = layout({ xaxis: axisOf(xName), yaxis: axisOf(yName), ...limitLines(xName, yName) });
    return Plotly.react("front-plot", frontTraces(xName, yName), { ...figureLayout, yaxis2: second }, config);
  }

  function drawProgress(over) {
    const { measure, values } = data.progress;
    const share = data.measures[measure] && data.measures[measure].share;
    const trace = {
      type: "scatter", mode: "lines", x: data.progress[over], y: values, line: { shape: "hv", color: colour("front"), width: 2 },
      hovertemplate: `${escaped(titleOf(measure))} %{y}<br>%{x} ${over}<extra></extra>`,
    };
    const xTitle = over === "trials" ? "ended trials" : "seconds of training, summed over trials";
    const figureLayout = layout({
      xaxis: { title: { text: xTitle, standoff: 8 }, rangemode: "tozero" },
      yaxis: { title: { text: escaped(titleOf(measure)), standoff: 8 }, tickformat: share ? ".0%" : "" },
      margin: { l: 48, r: 12, t: 12, b: 44 },
    });
    return Plotly.react(`progress-${over}`, [trace], figureLayout, config);
  }

  // All curves in one trace, with a gap after each: hundreds of traces would be slow.
  function curves(those, name, measure, line) {
    const x = [], y = [], text = [], customdata = [];
    for (const trial of those) {
      trial.curve[measure].forEach((value, epoch) => {
        if (value === null) return; // an epoch without validation: the line goes on
        x.push(epoch + 1);
        y.push(value);
        text.push(`<b>trial ${trial.n}</b> epoch ${epoch + 1}: ${valueText(measure, value)}<br>${escaped(trial.summary).slice(0, 90)}`);
        customdata.push(trial.n);
      });
      x.push(null); y.push(null); text.push(""); customdata.push(null);
    }
    const single = those.every((trial) => trial.epochs < 2);
    return { type: "scatter", mode: single ? "markers" : "lines", name, x, y, text, customdata, line,
      hovertemplate: "%{text}<extra></extra>" };
  }

  function drawCurves() {
    const measure = byId("curve").value;
    const trained = trials.filter((trial) => trial.epochs);
    const traces = [
      curves(trained.filter((t) => !t.front), "others", measure, { color: colour("faint"), width: 1 }),
      curves(trained.filter((t) => t.front), data.single ? "best" : "front", measure, { color: colour("front"), width: 1.5 }),
      curves(trained.filter((t) => t.n === chosen), "selected", measure, { color: colour("chosen"), width: 2.5 }),
    ].filter((trace) => trace.x.length);
    const share = data.measures[measure] && data.measures[measure].share;
    const figureLayout = layout({
      xaxis: { title: { text: "epoch", standoff: 8 }, tick0: 0, dtick: Math.ceil(Math.max(...trained.map((t) => t.epochs), 1) / 12) },
      yaxis: { title: { text: escaped(titleOf(measure)), standoff: 8 }, tickformat: share ? ".0%" : "" },
    });
    return Plotly.react("curves-plot", traces, figureLayout, config);
  }

  // ---- selection --------------------------------------------------------------------------------------------------
  // The drawings of all trials are compressed: each has figureLayout 20 kB.
  const decompressed = (async () => {
    const compressed = Uint8Array.from(atob(byId("drawings").textContent), (sign) => sign.charCodeAt(0));
    const plain = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(plain).text());
  })();

  function addTerm(list, name, text, code) {
    const pair = element("div", undefined, code ? { class: "wide" } : {});
    const value = element("dd", code ? undefined : text);
    if (code) value.append(element("code", text));
    pair.append(element("dt", name), value);
    list.append(pair);
  }

  function describe(trial) {
    const list = element("dl");
    const names = Object.keys(data.measures).filter((name) => name !== "trial" && has(trial, name));
    for (const name of names) addTerm(list, titleOf(name), valueText(name, trial.values[name]));
    addTerm(list, "epochs", String(trial.epochs));
    addTerm(list, "architecture", trial.id);
    if (trial.state === "complete") {
      addTerm(list, "retrain it", `${data.commands.retrain}${trial.n}`, true);
      addTerm(list, "export it", `${data.commands.export}${trial.n}`, true);
    }
    const state = trial.front ? (data.single ? "the best" : "on the front") : trial.state;
    const parts = [element("h3", `Trial ${trial.n}, ${state}`), element("p", trial.summary, { class: "code" }), list];
    if (trial.failure) parts.splice(2, 0, element("p", trial.failure, { class: "failure" }));
    byId("selected").replaceChildren(...parts);
    byId("selected").dataset.architecture = trial.id;
  }

  async function showDrawing(trial) {
    const place = byId("drawing"), caption = byId("drawing-caption");
    caption.textContent = `Trial ${trial.n}: ${trial.summary}`;
    let drawings;
    try {
      drawings = await decompressed;
    } catch (error) {
      place.textContent = `This browser can't decompress the drawings (${error.message}); those of the front are below.`;
      return;
    }
    if (trial.n !== chosen) return;
    if (!(trial.n in drawings)) {
      place.textContent = `Of this many trials those of the front and some others are drawn. Command: nas describe architecture=${data.study}:${trial.n} svg=network.svg`;
      return;
    }
    const svg = document.adoptNode(new DOMParser().parseFromString(drawings[trial.n], "image/svg+xml").documentElement);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Drawing of trial ${trial.n}: ${trial.summary}`);
    place.replaceChildren(svg);
    place.dataset.architecture = trial.id;
  }

  function select(number) {
    const trial = trials.find((one) => one.n === number);
    if (!trial) return;
    chosen = number;
    describe(trial);
    for (const row of document.querySelectorAll("#all tr[aria-current]")) row.removeAttribute("aria-current");
    const row = byId(`trial-${number}`);
    if (row) row.setAttribute("aria-current", "true");
    showDrawing(trial);
    drawFront();
    drawCurves();
  }

  // ---- the table --------------------------------------------------------------------------------------------------
  function sort(button) {
    const heading = button.parentElement, column = heading.cellIndex, body = byId("all").tBodies[0];
    const falling = heading.getAttribute("aria-sort") === "ascending";
    const key = (row) => {
      const cell = row.cells[column];
      if (!("value" in cell.dataset)) return cell.textContent;
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : falling ? compare(b, a) : compare(a, b)));
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  }

  // ---- start ------------------------------------------------------------------------------------------------------
  function fillMenu(id, names, taken) {
    for (const [name, text] of Object.entries(names)) {
      const option = element("option", text, { value: name });
      option.selected = name === taken;
      byId(id).append(option);
    }
  }

  const drawAll = () => Promise.all([drawFront(), drawProgress("trials"), drawProgress("seconds"), drawCurves()]);
  const measures = Object.fromEntries(Object.entries(data.measures).map(([name, measure]) => [name, measure.title]));
  fillMenu("y-axis", measures, data.y);
  fillMenu("x-axis", measures, data.x);
  fillMenu("curve", data.curves, data.y in data.curves ? data.y : "val_accuracy");
  for (const id of ["y-axis", "x-axis"]) byId(id).addEventListener("change", drawFront);
  byId("curve").addEventListener("change", drawCurves);

  drawAll().then(() => {
    for (const id of ["front-plot", "curves-plot"]) {
      byId(id).on("plotly_click", (event) => {
        const number = event.points[0].customdata;
        if (number !== null && number !== undefined) select(number);
      });
    }
    select(chosen);
    document.documentElement.dataset.ready = "true";
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("sort")) sort(button);
    if (button.classList.contains("pick")) {
      select(Number(button.dataset.trial));
      byId("front").scrollIntoView();
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Print in light colours and as wide as the paper.
  const ids = ["front-plot", "progress-trials", "progress-seconds", "curves-plot"];
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "true";
    drawAll();
    for (const id of ids) Plotly.relayout(id, { width: 680, autosize: false });
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    for (const id of ids) Plotly.relayout(id, { width: null, autosize: true });
    drawAll();
  });
})();
