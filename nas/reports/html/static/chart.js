// A chart: axes, a grid, layers that views draw, the nearest point under the pointer, and a zoom to a dragged box.
import { el, shape } from "./dom.js";
import { makeScale, textWidth, ticks } from "./scales.js";

const REACH = 22; // pixels from a point within which the pointer means it
const TOP = 26, BOTTOM = 40, RIGHT = 14;
const DRAG = 8; // pixels from which on a press is a drag

export class Chart {
  // `pick` is called with a point's number on a click; `tip` returns the elements of its tooltip.
  constructor(host, { label, pick, tip }) {
    Object.assign(this, { host, pick, tip, points: [] });
    this.svg = shape("svg", { role: "img", "aria-label": label });
    this.box = el("div", { class: "tip", hidden: true });
    host.replaceChildren(this.svg, this.box);
    host.places = () => this.places();
    if (pick) this.listen();
    this.reset = el(
      "button", { type: "button", class: "plain reset", hidden: true, onclick: () => this.zoom(null) }, "Whole range",
    );
    host.append(this.reset);
    this.listenToDrags();
    new ResizeObserver(() => {
      if (this.spec && host.clientWidth !== this.width) this.redraw();
    }).observe(host);
  }

  // spec: {x, y} with domain, log, share, integer, title; layers(plot) returns elements; points: [{n, x, y}] in values.
  draw(spec) {
    this.spec = spec;
    if (this.zoomed && this.zoomed.key !== keyOf(spec)) this.zoomed = null;
    this.reset.hidden = !this.zoomed;
    const { zoomed } = this;
    if (zoomed) spec = { ...spec, x: { ...spec.x, domain: zoomed.x }, y: { ...spec.y, domain: zoomed.y } };
    const width = this.width = this.host.clientWidth || 600, height = this.host.clientHeight || 320;
    const y = makeScale(spec.y, height - BOTTOM, TOP);
    const rungs = ticks(y, true);
    const left = Math.ceil(Math.max(24, ...rungs.map((tick) => textWidth(tick.text)))) + 14;
    const x = makeScale(spec.x, left, width - RIGHT);
    const plot = { x, y, left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM, width, height };
    this.plot = plot;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const layers = shape("g", this.zoomed ? { "clip-path": `url(#${this.host.id}-clip)` } : {}, spec.layers(plot));
    const clip = shape("clipPath", { id: `${this.host.id}-clip` },
      shape("rect", { x: left, y: TOP, ...extent(plot) }));
    this.svg.replaceChildren(axes(plot, rungs, ticks(x, false), spec), clip, layers);
    this.setPoints((spec.points ?? []).map((point) => ({ n: point.n, x: x.place(point.x), y: y.place(point.y) })));
    this.hide();
  }

  // Points in pixels; those outside of a zoomed range can't be meant.
  setPoints(points) {
    const { left, right, top, bottom } = this.plot;
    const inside = ({ x, y }) => x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1;
    this.points = this.zoomed ? points.filter(inside) : points;
  }

  // ---- zoom: a box that the mouse drags; a double click shows the whole range ----
  zoom(ranges) {
    this.zoomed = ranges && { ...ranges, key: keyOf(this.spec) };
    this.redraw();
  }

  redraw() {
    if (this.again) this.again();
    else this.draw(this.spec);
  }

  listenToDrags() {
    let start = null;
    const at = (event) => {
      const { left, top } = this.svg.getBoundingClientRect(), { plot } = this;
      return [
        Math.max(plot.left, Math.min(plot.right, event.clientX - left)),
        Math.max(plot.top, Math.min(plot.bottom, event.clientY - top)),
      ];
    };
    const box = shape("rect", { class: "zoom-box" });
    const far = (end) => Math.abs(end[0] - start[0]) > DRAG && Math.abs(end[1] - start[1]) > DRAG;
    this.svg.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      start = event.pointerType === "mouse" && event.button === 0 ? at(event) : null;
    });
    addEventListener("pointermove", (event) => {
      if (!start || !far(at(event))) return;
      const end = at(event);
      setBox(box, start, end);
      if (!box.parentNode) this.svg.append(box);
    });
    addEventListener("pointerup", (event) => {
      const end = start && at(event), from = start;
      box.remove();
      if (!end || !far(end)) {
        start = null;
        return;
      }
      start = null;
      this.dragged = true;
      const range = (scale, i) => [scale.invert(from[i]), scale.invert(end[i])].sort((a, b) => a - b);
      this.zoom({ x: range(this.plot.x, 0), y: range(this.plot.y, 1) });
    });
    this.svg.addEventListener("dblclick", () => this.zoom(null));
  }

  // Places of the points in the window, by number.
  places() {
    const { left, top } = this.svg.getBoundingClientRect();
    return Object.fromEntries(this.points.map((point) => [point.n, [left + point.x, top + point.y]]));
  }

  nearest(event) {
    const { left, top } = this.svg.getBoundingClientRect();
    const x = event.clientX - left, y = event.clientY - top;
    let found = null, least = REACH;
    for (const point of this.points) {
      const away = Math.hypot(point.x - x, point.y - y);
      if (away <= least) [found, least] = [point, away];
    }
    return found;
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => {
      const point = event.pointerType === "touch" ? null : this.nearest(event);
      this.svg.classList.toggle("on-point", point !== null);
      if (point) this.show(point);
      else this.hide();
    });
    this.svg.addEventListener("pointerleave", () => this.hide());
    this.svg.addEventListener("click", (event) => {
      const point = this.dragged ? null : this.nearest(event);
      if (point) this.pick(point.n);
    });
  }

  show(point) {
    if (this.shown !== point.n) this.box.replaceChildren(...this.tip(point.n));
    this.shown = point.n;
    this.box.hidden = false;
    const wide = this.box.offsetWidth, high = this.box.offsetHeight;
    const x = point.x + 14 + wide > this.width ? point.x - 14 - wide : point.x + 14;
    const y = point.y + 14 + high > this.plot.height ? point.y - 10 - high : point.y + 14;
    this.box.style.left = `${Math.max(0, Math.min(x, this.width - wide))}px`;
    this.box.style.top = `${Math.max(-8, y)}px`;
  }

  hide() {
    this.shown = null;
    this.box.hidden = true;
  }
}

function extent({ left, right, top, bottom }) {
  return { width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

function setBox(box, [x, y], [toX, toY]) {
  const ends = { x: Math.min(x, toX), y: Math.min(y, toY), width: Math.abs(toX - x), height: Math.abs(toY - y) };
  for (const [name, value] of Object.entries(ends)) box.setAttribute(name, value);
}

// What a zoom belongs to: other measures or scales have other ranges.
const keyOf = ({ x, y }) => [x.title, x.log, y.title, y.log].join();

function axes(plot, rungs, steps, spec) {
  const { left, right, top, bottom } = plot;
  const lines = rungs.map(({ at }) => shape("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }));
  lines.push(...steps.map(({ at }) => shape("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom })));
  const labels = rungs.map(
    ({ at, text }) => shape("text", { class: "tick", x: left - 8, y: at + 4, "text-anchor": "end" }, text)
  );
  labels.push(
    ...steps.map(
      ({ at, text }) => shape("text", { class: "tick", x: at, y: bottom + 17, "text-anchor": "middle" }, text)
    )
  );
  return shape("g", { class: "axes" }, lines, labels,
    shape("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }),
    shape("text", { class: "title", x: 0, y: 12 }, spec.y.title),
    shape("text", { class: "title", x: right, y: bottom + 34, "text-anchor": "end" }, spec.x.title));
}

// ---- marks --------------------------------------------------------------------------------------------------------
// Outline of a mark around (x, y): every kind has its own shape, so that no kind is told by colour alone.
const MARKS = {
  circle: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  triangle: (x, y, r) => `M${x - r} ${y - 0.8 * r}h${2 * r}l${-r} ${1.8 * r}z`,
  diamond: (x, y, r) => `M${x} ${y - r}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`,
  cross: (x, y, r) => `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  ring: (x, y, r) => `${MARKS.circle(x, y, r)}${MARKS.circle(x, y, 0.35 * r)}`,
  star: (x, y, r) => `M${x} ${y - r}v${2 * r}M${x - 0.87 * r} ${y - r / 2}l${1.74 * r} ${r}`
    + `M${x - 0.87 * r} ${y + r / 2}l${1.74 * r} ${-r}`,
};

const rounded = (value) => Math.round(10 * value) / 10;
export const mark = (kind, x, y, r) => MARKS[kind](rounded(x), rounded(y), r);

// A line through points in pixels; null lifts the pen. `step` goes right before it goes up.
export function line(points, step = false) {
  let path = "", down = false;
  for (const point of points) {
    if (point === null) {
      down = false;
      continue;
    }
    const [x, y] = point.map(rounded);
    path += !down ? `M${x} ${y}` : step ? `H${x}V${y}` : `L${x} ${y}`;
    down = true;
  }
  return path;
}
