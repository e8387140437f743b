// Start of the page: the document is loaded, every view drawn, and changes of a running search are followed.
import { startCompare } from "./compare.js";
import { startCurves } from "./curves.js";
import { byId, copyButton } from "./dom.js";
import { startFilters } from "./filters.js";
import { startFront } from "./front.js";
import { startGallery } from "./gallery.js";
import { startImportance } from "./importance.js";
import { startKeyboard } from "./keyboard.js";
import { startNetwork } from "./network.js";
import { startOutcome } from "./outcome.js";
import { startProgress } from "./progress.js";
import { startRunning } from "./running.js";
import { makeSource } from "./source.js";
import { choose, readAddress, setDocument, state, update } from "./state.js";
import { startTable } from "./table.js";

const FAR = "#trials, #gallery, #slots, #failures, #retrained"; // sections from which a pick leads to the front

async function start() {
  const source = makeSource();
  const doc = await source.document();
  setDocument(doc);
  state.live = doc.status?.live ?? null;
  readAddress();
  document.documentElement.classList.toggle("empty", !doc.trials.length);
  startRunning();
  startFront();
  startFilters();
  startNetwork(source);
  startCompare(source);
  startGallery(source);
  for (const one of [startProgress, startCurves, startImportance, startTable, startOutcome, startKeyboard]) one();
  listen();
  source.subscribe(doc.version, (kind, data) => take(source, kind, data), (heard) => { byId("lost").hidden = heard; });
  setTimeout(() => { document.documentElement.dataset.ready = "true"; });
}

function listen() {
  document.addEventListener("click", (event) => {
    const picked = event.target.closest("button.pick");
    if (!picked) return;
    choose(Number(picked.dataset.trial));
    if (picked.closest(FAR)) byId("front").scrollIntoView({ block: "start" });
  });
  for (const code of document.querySelectorAll(".command > code:only-child")) code.after(copyButton(code.textContent));
  document.addEventListener("click", (event) => {
    const target = byId(event.target.closest("a[href^='#']")?.hash.slice(1) ?? "");
    if (!target) return;
    event.preventDefault(); // the address holds what is shown, and not the section
    target.scrollIntoView();
  });
  addEventListener("hashchange", readAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => update({ scheme: true }));
}

// An event of the server: changed rows with the fields that changed, the driver's own file, or all anew.
async function take(source, kind, data) {
  if (kind === "live") update({ live: data });
  if (kind === "document") {
    setDocument(await source.document());
    update({ live: state.doc.status?.live ?? null });
  }
  if (kind !== "rows") return;
  const { trials = [], ...fields } = data;
  for (const row of trials) state.rows.set(row.n, row);
  const rows = [...state.rows.values()].sort((a, b) => a.n - b.n);
  const front = fields.front ? new Set(fields.front) : null;
  if (front) for (const row of rows) row.front = front.has(row.n);
  const doc = { ...state.doc, ...fields, trials: rows };
  document.documentElement.classList.toggle("empty", !rows.length);
  update({ doc, ...(state.chosen === null ? { chosen: doc.first } : {}) });
}

start().catch((error) => {
  const failed = byId("failed");
  failed.hidden = false;
  failed.textContent = `The page could not be drawn: ${error.message}`;
  throw error;
});
