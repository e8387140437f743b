// Elements made of names, attributes and text. Text enters by textContent and attributes alone, never as markup.
const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const el = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const shape = (name, attributes = {}, ...children) => filled(
  document.createElementNS(SVG, name), attributes, children,
);

export function button(text, attributes, onclick) {
  return el("button", { type: "button", ...attributes, onclick }, text);
}

export function menu(label, options, taken, onchange, attributes = {}) {
  const list = el("select", { ...attributes, onchange: (event) => onchange(event.target.value) });
  for (const [value, text] of options) {
    const option = el("option", { value }, text);
    option.selected = value === taken;
    list.append(option);
  }
  return el("label", { class: "menu" }, el("span", {}, label), list);
}

// A row of buttons of which one is taken.
export function segments(label, options, taken, onchange) {
  const parts = options.map(([value, text]) =>
    button(text, { "aria-pressed": String(value === taken), "data-value": value }, () => onchange(value)));
  return el("div", { class: "segments", role: "group", "aria-label": label }, parts);
}

export const pickButton = (number, text) => el(
  "button", { type: "button", class: "pick", "data-trial": number }, text ?? String(number),
);

// Trials to choose, divided by commas that stay beside them.
export function pickList(numbers) {
  return numbers.flatMap((number, i) => {
    const last = i === numbers.length - 1;
    return [el("span", { class: "together" }, pickButton(number), last ? "" : ","), last ? "" : " "];
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function copyButton(text) {
  const copy = button("Copy", { class: "copy", "aria-label": `Copy: ${text}` }, async () => {
    copy.textContent = (await copied(text)) ? "Copied" : "Select it";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  return copy;
}

// A command with a button that copies it.
export const command = (text) => el("div", { class: "command" }, el("code", {}, text), copyButton(text));

export const cell = (content, kind = "number") => el("td", { class: kind }, content);
export const rowHead = (content, kind = null) => el("th", { scope: "row", class: kind }, content);

export function terms(pairs, attributes = {}) {
  return el("dl", attributes, pairs.filter(Boolean).map(([name, value, title]) =>
    el("div", {}, el("dt", {}, name), el("dd", { title }, value))));
}

export function table(caption, head, rows, attributes = {}) {
  const kind = (i) => (rows[0]?.cells[i]?.classList.contains("number") ? "number" : null);
  const heads = head.map((text, i) => el("th", { scope: "col", class: kind(i) }, text));
  const parts = [el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)];
  return el(
    "div", { class: "scroll", tabindex: 0 },
    el("table", attributes, el("caption", { class: "hidden" }, caption), parts),
  );
}

// A drawing of ours: SVG text, parsed as XML, in which nothing runs.
export function drawn(text, label) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const made = document.importNode(parsed, true);
  for (const part of made.querySelectorAll("script, foreignObject, a, image, use")) part.remove();
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", label);
  return made;
}
