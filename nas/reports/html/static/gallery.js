// Drawings of the front side by side, each loaded when it comes into view.
import { byId, drawn, el, pickButton } from "./dom.js";
import { titleOf, valueText } from "./format.js";
import { baseOf, costNames, isSet, shownFront, valueOf } from "./model.js";
import { versionOf } from "./network.js";
import { state, view } from "./state.js";

const MOST = 24;
let key = null;

export function startGallery(source) {
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      fill(source, target);
    }
  }, { rootMargin: "300px" });
  view(["doc", "x", "y", "limits", "floor", "measured"], () => drawGallery(seen));
}

function drawGallery(seen) {
  const members = shownFront();
  const step = Math.max(1, (members.length - 1) / (MOST - 1));
  const some = Array.from(
    { length: Math.min(MOST, members.length) }, (_, i) => state.rows.get(members[Math.round(i * step)]),
  );
  const now = some.map((row) => row.n).join();
  byId("gallery").hidden = !some.length;
  if (now === key) return;
  key = now;
  const left = some.length < members.length;
  const which = `${some.length} of the ${members.length} networks on the front, evenly spaced, cheapest first.`;
  byId("gallery-note").textContent = left ? which : "Cheapest first.";
  const names = [...new Set([baseOf(state.y), state.x, ...costNames()])].slice(0, 3);
  byId("gallery-cards").replaceChildren(...some.map((row) => {
    const known = names.filter((name) => isSet(valueOf(row, name)));
    const numbers = known.map((name) => `${valueText(name, valueOf(row, name))} ${titleOf(name)}`).join(" · ");
    const sheet = el("div", { class: "sheet", "data-n": row.n });
    seen.observe(sheet);
    return el(
      "figure", { class: "card" },
      el(
        "figcaption", {}, pickButton(row.n, `Trial ${row.n}`), el("p", {}, numbers),
        el("p", { class: "code" }, row.summary),
      ),
      sheet,
    );
  }));
}

async function fill(source, sheet) {
  const row = state.rows.get(Number(sheet.dataset.n));
  const detail = await source.detail(row.n, versionOf(row)).catch(() => null);
  const label = `Drawing of trial ${row.n}: ${row.summary}`;
  const none = el("p", { class: "note" }, "There is no drawing of it here.");
  sheet.replaceChildren(detail ? drawn(detail.drawing, label) : none);
}
