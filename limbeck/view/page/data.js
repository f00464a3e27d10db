"use strict";
// The data of the page. Each file in data/ is a script that calls `take` once: from disk, a page may
// load scripts but not read files.

const awaited = new Map();  // name -> {value: a promise, give: resolves it}
const scripts = window.trustedTypes?.createPolicy("limbeck", { createScriptURL: (name) => `data/${name}.js` });

function take(name, value) {
  awaited.get(name)?.give(value);
  awaited.delete(name);
}

/** The value in data/<name>.js. */
function loaded(name) {
  const there = awaited.get(name);
  if (there) return there.value;
  let give, fail;
  const value = new Promise((resolve, reject) => [give, fail] = [resolve, reject]);
  awaited.set(name, { value, give });
  const script = document.createElement("script");
  script.src = scripts ? scripts.createScriptURL(name) : `data/${name}.js`;
  const damaged = () => fail(new Error(`data/${name}.js is missing or damaged. Write the page again.`));
  script.onload = () => { script.remove(); damaged(); };  // too late to matter where the script gave its value
  script.onerror = damaged;
  document.head.append(script);
  return value;
}

async function unpacked(name) {
  const packed = await loaded(name);
  const bytes = Uint8Array.fromBase64
    ? Uint8Array.fromBase64(packed)
    : Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const numbered = (name, file) => `${name}-${String(file).padStart(5, "0")}`;
const rowsFile = (file) => numbered("rows", file);

/** Rows by number: what filters and lineage need of every row, in columns. */
class Index {
  constructor(run) {
    const count = run.rows;
    this.count = count;
    this.known = 0;  // rows whose columns are here
    this.parts = [];
    for (const step of run.steps) {
      for (const part of step.parts) this.parts.push({ ...part, step });
    }
    this.ids = [];
    this.parents = [];
    this.refused = [];  // of each row: places in `refusals`
    this.refusals = [];  // [gate, reason]
    this.words = { kind: [], operator: [], teacher: [] };
    this.codes = {};
    for (const name of Object.keys(this.words)) this.codes[name] = new Int32Array(count).fill(-1);
    this.numbers = {};
    for (const name of ["characters", "tokens_in", "tokens_out", "cost"]) {
      this.numbers[name] = new Float64Array(count).fill(NaN);
    }
    this.places = {};  // of words that are known: name -> word -> place
  }

  async load(run) {
    for (let file = 0; file < run.index.length; file++) {
      const [columns] = await unpacked(numbered("index", file));
      this.add(columns, run.index[file]);
    }
  }

  add(columns, first) {
    const count = columns.ids.length;
    for (const name of ["ids", "parents"]) {
      for (const value of columns[name]) this[name].push(value);
    }
    for (const name of Object.keys(this.numbers)) {
      columns[name].forEach((value, at) => { if (value !== null) this.numbers[name][first + at] = value; });
    }
    for (const name of Object.keys(this.words)) {
      const mine = columns[name].words.map((word) => this.place(name, word, this.words[name]));
      columns[name].codes.forEach((code, at) => { if (code >= 0) this.codes[name][first + at] = mine[code]; });
    }
    const mine = columns.refused.words.map((pair) => this.place("refused", pair, this.refusals));
    for (const codes of columns.refused.codes) this.refused.push(codes.map((code) => mine[code]));
    this.known = first + count;
  }

  place(name, word, list) {
    const places = this.places[name] ??= new Map();
    const key = JSON.stringify(word);
    if (!places.has(key)) places.set(key, list.push(word) - 1);
    return places.get(key);
  }

  part(row) {
    return this.parts.find((part) => row < part.first + part.rows);
  }

  /** Numbers of the rows of an id. */
  named(id) {
    this.byId ??= grouped(this.count, (row) => [this.ids[row]]);
    return this.byId.get(id) ?? [];
  }

  /** Numbers of the rows that were made from an id. */
  children(id) {
    this.byParent ??= grouped(this.count, (row) => this.parents[row]);
    return this.byParent.get(id) ?? [];
  }
}

function grouped(count, keysOf) {
  const groups = new Map();
  for (let row = 0; row < count; row++) {
    for (const key of keysOf(row)) {
      const there = groups.get(key);
      if (there) there.push(row); else groups.set(key, [row]);
    }
  }
  return groups;
}

/** The rows themselves, a file at a time; those read last stay in memory. */
class Rows {
  constructor(run) {
    this.firsts = run.chunks;
    this.count = run.rows;
    this.held = new Map();  // file -> promise of its rows
  }

  file(row) {
    let low = 0, high = this.firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.firsts[middle] <= row) low = middle; else high = middle - 1;
    }
    return low;
  }

  end(file) {
    return this.firsts[file + 1] ?? this.count;
  }

  read(file) {
    const there = this.held.get(file);
    this.held.delete(file);  // and to the end, as the last one used
    const rows = there ?? unpacked(rowsFile(file));
    this.held.set(file, rows);
    if (this.held.size > 24) this.held.delete(this.held.keys().next().value);
    return rows;
  }

  async row(number) {
    const file = this.file(number);
    return (await this.read(file))[number - this.firsts[file]];
  }
}
