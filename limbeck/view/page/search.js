"use strict";
// Search in all texts: they are read once, in small letters, and scanned in slices so that the page stays awake.

const SLICE = 24;  // milliseconds
const MOST = 32e6 * Math.min(8, navigator.deviceMemory ?? 4);  // characters kept; others are read again when searched

/** Resolves when the browser has had a chance to draw and to hear keys. */
const breath = () => (globalThis.scheduler?.yield ? scheduler.yield() : new Promise((next) => setTimeout(next)));

/** The words of a query in small letters; words between double quotes are one. */
function terms(query) {
  return [...query.toLowerCase().matchAll(/"([^"]+)"?|(\S+)/g)].map(([, phrase, word]) => phrase ?? word);
}

function texts(value, into) {
  if (typeof value === "string") into.push(value);
  else if (typeof value === "number") into.push(String(value));
  else if (value && typeof value === "object") for (const one of Object.values(value)) texts(one, into);
}

function inSmallLetters(rows) {
  const pieces = [];
  const ends = [];
  let length = 0;
  for (const row of rows) {
    const parts = [];
    texts(row, parts);
    const text = parts.join("\n").toLowerCase() + "\n";
    pieces.push(text);
    ends.push(length += text.length);
  }
  return { text: pieces.join(""), ends };
}

class Search {
  constructor(rows) {
    this.rows = rows;
    this.held = new Map();  // file -> {text, ends}
    this.begun = new Map();  // file -> promise of them
    this.characters = 0;
    this.turn = 0;
  }

  /** All texts of a file's rows in small letters, and where each row ends. */
  text(file) {
    const there = this.held.get(file) ?? this.begun.get(file);
    if (there) return there;
    const reading = unpacked(rowsFile(file)).then((rows) => this.keep(file, inSmallLetters(rows)));
    this.begun.set(file, reading);
    return reading;
  }

  keep(file, made) {
    this.begun.delete(file);
    if (this.characters + made.text.length <= MOST) {
      this.held.set(file, made);
      this.characters += made.text.length;
    }
    return made;
  }

  /** Read files while nothing else happens, so that the first search need not. */
  async warm() {
    for (let file = 0; file < this.rows.firsts.length && this.characters < MOST; file++) {
      await this.text(file);
      await breath();
    }
  }

  /** Mark in `hits` the rows of `wanted` with all `words`; false if a later search took over.
   *  `progress(share)` is called between slices. */
  async run(words, wanted, hits, progress) {
    const turn = ++this.turn;
    let slice = performance.now();
    const files = this.rows.firsts.length;
    for (let file = 0; file < files; file++) {
      const first = this.rows.firsts[file], end = this.rows.end(file);
      if (wanted.indexOf(1, first) >= end || wanted.indexOf(1, first) < 0) continue;
      const held = this.held.get(file) ?? await this.text(file);
      if (turn !== this.turn) return false;
      scan(held, words, wanted, hits, first);
      if (performance.now() - slice > SLICE) {
        progress((file + 1) / files);
        await breath();
        if (turn !== this.turn) return false;
        slice = performance.now();
      }
    }
    return true;
  }
}

function scan({ text, ends }, words, wanted, hits, first) {
  const [rarest, ...others] = words.toSorted((one, other) => other.length - one.length);
  for (const row of rowsWith(rarest, text, ends)) {
    const own = others.length ? text.slice(row ? ends[row - 1] : 0, ends[row]) : "";
    if (others.every((word) => own.includes(word))) hits[first + row] = wanted[first + row];
  }
}

function rowsWith(word, text, ends) {
  const rows = [];
  let row = 0;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, ends[row - 1])) {
    while (ends[row] <= at) row++;
    rows.push(row++);
    if (row === ends.length) break;
  }
  return rows;
}
