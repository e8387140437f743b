// Head of the page: the outcome, counts, time, and a line for every slot of a running search.
import { byId, el, pickButton } from "./dom.js";
import { duration, percent, plural, titleOf, valueText } from "./format.js";
import { curveOf, sparkline } from "./curves.js";
import { accuracyName, isSet } from "./model.js";
import { state, view } from "./state.js";

export function startRunning() {
  view(["doc", "live"], drawHeadline);
  view(["doc", "live"], drawCounts);
  view(["doc", "live"], drawSlots);
}

const statusOf = () => state.doc.status ?? {};
const driven = () => Boolean(state.live || statusOf().driven);

function drawHeadline() {
  const { doc } = state;
  const complete = doc.trials.filter((row) => row.state === "complete").length;
  const best = state.rows.get(doc.first);
  if (!complete || !best) {
    byId("headline").textContent = `No trial is complete yet; ${doc.trials.length.toLocaleString("en")} have started.`;
    return;
  }
  const value = (name) => (best.believed && name === accuracyName() ? best.believed.mean : best.values[name]);
  const names = doc.single ? [doc.y] : [doc.y, doc.x];
  const known = names.filter((name) => isSet(value(name)));
  const reached = known.map((name) => `${valueText(name, value(name))} ${titleOf(name)}`).join(" at ");
  const front = `${doc.front.length.toLocaleString("en")} of ${plural(complete, "trained network")} make up the front.`;
  const share = doc.single ? `${plural(complete, "network")} trained.` : front;
  byId("headline").textContent = `${share} The best reaches ${reached} (trial ${best.n}).`;
}

function drawCounts() {
  const status = statusOf(), { live } = state;
  const counts = live?.counts ?? status.counts ?? status.trials ?? {};
  const ended = (counts.complete ?? 0) + (counts.pruned ?? 0);
  const share = live?.share_done ?? status.share_done;
  const hypervolume = live?.hypervolume ?? status.hypervolume;
  const more = ["running", "frozen"].find((name) => counts[name]);
  const volume = ["hypervolume", isSet(hypervolume) ? hypervolume.toFixed(4) : "–", null];
  const left = isSet(live?.seconds_left) ? `${duration(live.seconds_left)} left` : null;
  const cells = [
    ["state", stateText(), isSet(share) && driven() ? bar(share) : null],
    ["trials", ended.toLocaleString("en"), more ? `${counts[more]} ${more}` : null],
    state.doc.single ? ["best", bestText(), null] : volume,
    ["training", duration(status.seconds), "summed over trials"],
    ["clock", duration(live?.clock_seconds ?? status.clock_seconds), left],
  ];
  byId("counts").replaceChildren(
    ...cells.map(
      ([name, text, more]) => el(
        "div", {}, el("dt", {}, name), el("dd", {}, text), more ? el("dd", { class: "more" }, more) : "",
      )
    )
  );
}

function bestText() {
  const values = state.doc.progress.values.filter(isSet);
  return values.length ? valueText(state.doc.progress.measure, values.at(-1)) : "–";
}

function stateText() {
  const share = state.live?.share_done ?? statusOf().share_done;
  if (driven()) return isSet(share) ? `running, ${percent(share, 0)}` : "running";
  return statusOf().state ?? (state.doc.trials.length ? "not running" : "not started");
}

function bar(share) {
  const filled = el("span", { class: "share" });
  filled.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return el("span", { class: "share-track" }, filled);
}

// Lines of the slots: those of the driver's own file, else the running trials of a search that is driven.
function slots() {
  if (state.live?.running) return state.live.running.map((one) => ({ ...one, row: state.rows.get(one.trial) }));
  if (!driven()) return [];
  return state.doc.trials.filter((row) => row.state === "running").map(
    (row, slot) => ({ slot, trial: row.n, epoch: row.epochs, summary: row.summary, row })
  );
}

function drawSlots() {
  const lines = slots().map((one) => {
    const values = (one.curve?.val_accuracy ?? (one.row ? curveOf(one.row, "val_accuracy") : [])).filter(isSet);
    const epochs = one.epochs ? `epoch ${one.epoch} of ${one.epochs}` : `epoch ${one.epoch}`;
    const accuracy = values.length ? percent(values.at(-1)) : "–";
    return el(
      "li", {}, pickButton(one.trial, `Trial ${one.trial}`), el("span", { class: "number" }, epochs), sparkline(values),
      el("span", { class: "number strong" }, accuracy), el("span", { class: "code" }, one.summary ?? ""),
    );
  });
  byId("slots").replaceChildren(...lines);
  byId("slots").hidden = !lines.length;
}
