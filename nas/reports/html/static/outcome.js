// Retrained networks, trials by state, failures by kind, and commands that go on.
import { byId, cell, command, el, pickButton, pickList, rowHead, table, terms } from "./dom.js";
import { percent, plural, titleOf, valueText } from "./format.js";
import { testText } from "./network.js";
import { accuracyName, costNames, isSet, valueOf } from "./model.js";
import { state, view } from "./state.js";

export function startOutcome() {
  view(["doc"], drawRetrained);
  view(["doc", "live"], drawStates);
  view(["doc"], drawFailures);
  view(["doc", "chosen", "limits"], drawNext);
}

function drawRetrained() {
  const results = Object.entries(state.doc.retrained ?? {});
  const found = results.map(([number, result]) => [state.rows.get(Number(number)), result]).filter(([row]) => row);
  byId("retrained").hidden = !found.length;
  if (!found.length) return;
  const name = accuracyName(), costs = costNames().slice(0, 2);
  const ends = (test) => (test?.interval ? `${percent(test.interval[0])} to ${percent(test.interval[1])}` : "–");
  const rows = found.map(([row, { test, epochs }]) => el(
    "tr", {}, rowHead(pickButton(row.n)), cell(test ? testText(test) : "–", "number strong"), cell(ends(test)),
    cell(percent(valueOf(row, name))), cell(isSet(epochs) ? String(epochs) : "–"),
    costs.map((cost) => cell(valueText(cost, row.values[cost]))), cell(row.summary, "code"),
  ));
  const baselines = (state.doc.baselines ?? []).map(({ name: named, summary, costs: own, test, epochs }) => el(
    "tr", {}, rowHead(`baseline ${named}`), cell(testText(test), "number strong"), cell(ends(test)), cell("–"),
    cell(isSet(epochs) ? String(epochs) : "–"), costs.map((cost) => cell(isSet(own[cost]) ? valueText(cost, own[cost]) : "–")),
    cell(summary, "code"),
  ));
  rows.push(...baselines);
  const head = ["trial", "test accuracy", "interval", "in the search", "epochs", ...costs.map(titleOf), "network"];
  byId("retrained-table").replaceChildren(table("Retrained networks", head, rows));
}

function drawStates() {
  const counts = state.live?.counts ?? state.doc.status?.counts ?? state.doc.status?.trials;
  if (counts) byId("states").replaceChildren(
    ...terms(Object.entries(counts).map(([name, count]) => [name, Number(count).toLocaleString("en")])).children
  );
}

function drawFailures() {
  const kinds = new Map();
  for (const row of state.doc.trials) {
    if (!row.failure) continue;
    const [kind] = row.failure.split(":");
    kinds.set(kind, [...(kinds.get(kind) ?? []), row]);
  }
  const rows = [...kinds].sort(([, a], [, b]) => b.length - a.length).map(([kind, those]) => {
    const links = pickList(those.slice(0, 12).map((row) => row.n));
    const last = those.at(-1).failure;
    const message = last.slice(last.indexOf(":") + 1).trim();
    return el(
      "tr", {}, rowHead(kind.replaceAll("_", " ")), cell(String(those.length)),
      el("td", {}, links, those.length > 12 ? " …" : ""), cell(message, "message"),
    );
  });
  const head = ["kind", "count", "trials", "last message"];
  const none = el("p", { class: "note" }, "No trial failed.");
  byId("failures").replaceChildren(rows.length ? table("Failures by kind", head, rows) : none);
}

function drawNext() {
  const { doc } = state;
  const limits = Object.entries(state.limits).map(([name, most]) => ` limits.max_${name}=${most}`).join("");
  const parts = [];
  const add = (purpose, text, note) => text && parts.push(
    el("div", {}, el("dt", {}, purpose), el("dd", {}, command(text), note ? el("p", { class: "note" }, note) : ""))
  );
  add(doc.on?.title ?? "Go on with this search", doc.on?.command, doc.on?.note);
  const row = state.rows.get(state.chosen);
  if (row?.state === "complete" && doc.commands?.retrain) {
    add(`Retrain trial ${row.n} over several seeds`, `${doc.commands.retrain}${row.n}`);
    add(`Export trial ${row.n} as weights, source and ONNX`, `${doc.commands.export}${row.n}`);
  }
  if (doc.commands?.retrain && doc.front.length) add(
    `Retrain the knee of the front${limits ? ", within the limits above" : ""}`, `${doc.commands.retrain}knee${limits}`,
  );
  byId("next-commands").replaceChildren(...parts);
  const picks = `A pick is best, knee, front (${plural(doc.front.length, "network")}) or a trial's number.`;
  byId("next-count").textContent = doc.front.length ? picks : "";
}
