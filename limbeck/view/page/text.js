"use strict";
// Everything that is shown of rows goes through here, and becomes text nodes. Nothing is ever read as HTML.

const FIRST = 20000;  // characters of a text that are shown at once

// Characters that change what is seen without being seen: controls, directions, zero widths, halves of pairs,
// tags and variation selectors beyond those of emoji. Joiners are left to scripts and emoji that need them.
const UNSEEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
  + "\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]|\\p{Surrogate}"
  + "|(?<![\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f\\p{M}]|[^\\p{Script=Latin}\\P{L}])[\\u200c\\u200d]", "gu");

const NAMES = {
  0: "NUL", 8: "BS", 12: "FF", 13: "CR", 27: "ESC", 127: "DEL", 0xad: "SHY", 0x200b: "ZWSP", 0x200c: "ZWNJ",
  0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM", 0x2028: "LS", 0x2029: "PS", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF",
  0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM",
};

/** An element: `el("p.soft", {id: "a"}, "text", other)`. Texts become text nodes. */
function el(kind, attributes, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A text as nodes: what would not be seen is named, and `terms` are marked. */
function shown(text, terms = []) {
  const nodes = document.createDocumentFragment();
  let at = 0;
  for (const found of text.matchAll(UNSEEN)) {
    marked(nodes, text.slice(at, found.index), terms);
    nodes.append(code(found[0].codePointAt(0)));
    at = found.index + found[0].length;
  }
  marked(nodes, text.slice(at), terms);
  return nodes;
}

function code(point) {
  const number = `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  return el("span.code", { title: number }, NAMES[point] ?? number);
}

function marked(nodes, text, terms) {
  const lower = terms.length ? text.toLowerCase() : "";
  if (!terms.length || lower.length !== text.length) {
    nodes.append(text);
    return;
  }
  let at = 0;
  while (at < text.length) {
    const next = terms.map((term) => [lower.indexOf(term, at), term]).filter(([place]) => place >= 0);
    if (!next.length) break;
    const [place, term] = next.reduce((one, other) => (other[0] < one[0] ? other : one));
    nodes.append(text.slice(at, place), el("mark", null, text.slice(place, place + term.length)));
    at = place + term.length;
  }
  nodes.append(text.slice(at));
}

/** A text in full width, the beginning of a long one with a button for more. */
function block(text, terms, kind = "pre") {
  const made = el(kind, { dir: "auto" }, shown(text.slice(0, FIRST), terms));
  if (text.length <= FIRST) return made;
  let to = FIRST;
  const more = el("button", { type: "button", onclick: () => {
    const next = to + 10 * FIRST;
    made.append(shown(text.slice(to, next), terms));
    to = next;
    if (to >= text.length) more.remove(); else said();
  } });
  const said = () => { more.textContent = `Show more: ${count(to)} of ${count(text.length)} characters are shown`; };
  said();
  return el("div", null, made, more);
}

const count = (number) => number.toLocaleString("en");
const counted = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** A number in few digits. */
function short(number) {
  if (Number.isInteger(number)) return count(number);
  return Math.abs(number) >= 1e-4 ? String(Number(number.toPrecision(4))) : number.toExponential(2);
}

/** JSON in a text as its value; undefined where it holds none. */
function parsed(text) {
  if (typeof text !== "string") return text ?? undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
