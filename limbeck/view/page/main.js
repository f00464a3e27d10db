"use strict";
// State, filters and what is open. The address holds all of it, so that a view can be kept and shared.

const WORDS = ["step", "gate", "reason", "operator", "teacher", "kind"];
const LIMITS = [["characters", "Length"], ["cost", "Price"], ["tokens_out", "Tokens out"]];
const ORDERS = {
  "": "as made", "longest": "longest first", "shortest": "shortest first", "dearest": "dearest first",
  "wordiest": "most tokens out first",
};
const KEYS = ["q", "status", ...WORDS, ...LIMITS.flatMap(([name]) => [`${name}_from`, `${name}_to`]), "order"];
const PAUSE = 60;  // milliseconds: browsers refuse addresses that change with every letter
const by = (id) => document.getElementById(id);

let run, index, rows, search, list;
let state = {};
let matching = null;  // number of the row -> 1, of the filters that are set
let filteredBy = "";

/** The address of other filters, or of a row (or of none) under the filters there are. */
function address(change) {
  const next = "row" in change ? { ...state, show: undefined, ...change } : { q: state.q, order: state.order, ...change };
  const words = new URLSearchParams(Object.entries(next).filter(([, value]) => value !== undefined && value !== ""));
  return `#${words}`;
}

function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  state = Object.fromEntries([...KEYS, "row", "show"].filter((key) => told.get(key)).map((key) => [key, told.get(key)]));
}

async function start() {
  run = await loaded("run");
  index = new Index(run);
  rows = new Rows(run);
  search = new Search(rows);
  list = new List(index, rows, (row) => go({ row }));
  document.title = `${run.name} · limbeck view`;
  by("name").replaceChildren(shown(run.name));
  by("counts").textContent = `${counted(run.rows, "row")}${run.steps[0].kind ? ` of ${counted(run.steps.length, "step")}` : ""}`;
  await index.load(run);
  makeFilters();
  window.addEventListener("hashchange", follow);
  await follow();
  document.documentElement.dataset.opened = Math.round(performance.now());
  await breath();
  await search.warm();
  document.documentElement.dataset.warm = Math.round(performance.now());
}

function go(change, replace = false) {
  const next = address({ row: state.row, ...change });
  if (replace) {
    history.replaceState(null, "", next);
    follow();
  } else {
    location.hash = next;
  }
}

/** Show what the address says. */
async function follow() {
  const open = state.row, shows = state.show;
  readAddress();
  showFilters();
  const filters = JSON.stringify(KEYS.map((key) => state[key] ?? ""));
  const isOther = state.row !== open || state.show !== shows || !by("detail").childElementCount;
  const detail = isOther ? showDetail() : null;
  if (filters !== filteredBy) {
    filteredBy = filters;
    await filter();
  } else {
    list.chosen = list.numbers.indexOf(Number(state.row));
    if (list.chosen >= 0) list.reveal();
    list.mark();
  }
  await detail;
}

async function showDetail() {
  const number = Number(state.row);
  const isRow = state.row !== undefined && number >= 0 && number < run.rows && Number.isInteger(number);
  document.body.dataset.shows = isRow ? "row" : state.show ?? "rows";
  const asked = state.row;
  const made = isRow
    ? [el("div.step-by", null, back(), move(-1), move(1)), ...rowPage(index, number, await rows.row(number), terms(state.q ?? ""))]
    : overview(run, index);
  if (asked !== state.row) return;
  by("detail").replaceChildren(...made.filter((one) => one));
  by("detail").scrollTop = 0;
  const other = by(isRow ? "detail" : "list");  // on a phone, where one of them is seen
  if (!by("browse").checkVisibility() || !by("detail").checkVisibility()) other.focus({ preventScroll: true });
}

const back = () => el("button.back", { type: "button", onclick: () => go({ row: undefined }) }, "← Rows");
const move = (by) => el("button", { type: "button", onclick: () => list.choose(list.chosen + by) }, by < 0 ? "↑ Previous" : "↓ Next");

function makeFilters() {
  const statuses = ["", "accepted", "rejected", "failed"];
  const has = (status) => run.steps.some((step) => step.parts.some((part) => !status || part.status === status));
  const usable = statuses.filter(has);
  if (usable.length > 2) {
    by("statuses").append(...usable.map((status) => el("label", null,
      el("input", { type: "radio", name: "status", value: status }), el("span", null, status || "all"))));
  }
  const options = {
    step: run.steps.map((step) => step.name),
    gate: [...new Set(index.refusals.map(([gate]) => gate))],
    reason: [...new Set(index.refusals.map(([, reason]) => reason))],
    ...index.words,
  };
  for (const name of WORDS) {
    if (options[name].length < (name === "gate" || name === "reason" ? 1 : 2)) continue;
    by("fields").append(el("label", null, el("span", null, { gate: "rejected by" }[name] ?? name), el("select", { name },
      el("option", { value: "" }, "all"), ...options[name].slice(0, 500).map((word) => el("option", { value: word }, shownPlain(word))))));
  }
  for (const [name, title] of LIMITS) {
    if (!index.numbers[name].some((value) => value === value)) continue;
    const bound = (end) => el("input", { type: "number", name: `${name}_${end}`, min: 0, step: "any",
      placeholder: end, "aria-label": `${title} ${end}` });
    by("fields").append(el("div.limits", null, el("span", null, title), bound("from"), bound("to")));
  }
  by("fields").append(el("label", null, el("span", null, "order"), el("select", { name: "order" },
    ...Object.entries(ORDERS).map(([value, title]) => el("option", { value }, title)))));
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  let waiting;
  by("filters").addEventListener("input", ({ target }) => {
    clearTimeout(waiting);
    if (target.name) waiting = setTimeout(() => go({ [target.name]: target.value || undefined }, true), PAUSE);
  });
  by("to-overview").addEventListener("click", (event) => {
    event.preventDefault();
    go({ row: undefined, show: "overview" });
  });
  by("to-rows").addEventListener("click", (event) => {
    event.preventDefault();
    go({ row: undefined });
  });
  document.addEventListener("keydown", key);
}

/** A short text for where no elements can stand. */
function shownPlain(word) {
  const text = shown(word).textContent;
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function key(event) {
  const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
  if (event.key === "/" && !typing) {
    event.preventDefault();
    by("q").focus();
  } else if (event.key === "Escape") {
    if (state.row !== undefined) go({ row: undefined });
    by("list").focus();
  } else if (event.target === by("q") && (event.key === "ArrowDown" || event.key === "Enter")) {
    event.preventDefault();
    by("list").focus();
    list.choose(event.key === "Enter" ? Math.max(0, list.chosen) : 0);
  }
}

function showFilters() {
  for (const field of by("filters").elements) {
    if (!field.name) continue;
    const value = state[field.name] ?? "";
    if (field.type === "radio") field.checked = field.value === value;
    else if (field.value !== value && field !== document.activeElement) field.value = value;
  }
  const set = KEYS.filter((key) => state[key] && key !== "q" && key !== "status" && key !== "order");
  by("chips").replaceChildren(...set.map((key) => el("button", { type: "button", title: "Remove this filter",
    onclick: () => go({ [key]: undefined }) }, shown(`${key.replace("_", " ")}: ${shownPlain(state[key])} ✕`))));
}

/** Which rows pass the filters, text left out. */
function passing() {
  const pass = new Uint8Array(index.count);
  for (const part of index.parts) {
    const wanted = (!state.step || part.step.name === state.step) && (!state.status || part.status === state.status);
    if (wanted) pass.fill(1, part.first, part.first + part.rows);
  }
  for (const name of ["operator", "teacher", "kind"]) {
    if (!state[name]) continue;
    const code = index.words[name].indexOf(state[name]);
    index.codes[name].forEach((mine, row) => { if (mine !== code) pass[row] = 0; });
  }
  if (state.gate || state.reason) {
    const good = index.refusals.map(([gate, reason]) =>
      (!state.gate || gate === state.gate) && (!state.reason || reason === state.reason));
    index.refused.forEach((codes, row) => { if (!codes.some((code) => good[code])) pass[row] = 0; });
  }
  for (const [name] of LIMITS) {
    const from = state[`${name}_from`], to = state[`${name}_to`];
    if (!from && !to) continue;
    const least = Number(from || -Infinity), most = Number(to || Infinity);
    index.numbers[name].forEach((value, row) => { if (!(value >= least && value <= most)) pass[row] = 0; });
  }
  return pass;
}

function ordered(pass) {
  const numbers = [];
  for (let row = pass.indexOf(1); row >= 0; row = pass.indexOf(1, row + 1)) numbers.push(row);
  const [name, sign] = { longest: ["characters", -1], shortest: ["characters", 1], dearest: ["cost", -1],
    wordiest: ["tokens_out", -1] }[state.order] ?? [];
  if (name) {
    const key = (row) => { const value = index.numbers[name][row]; return value === value ? sign * value : Infinity; };
    numbers.sort((one, other) => key(one) - key(other) || one - other);
  }
  return Uint32Array.from(numbers);
}

async function filter() {
  const begun = performance.now();
  const words = terms(state.q ?? "");
  const pass = passing();
  const say = (text) => { by("found").textContent = text; };
  const done = (numbers) => {
    const time = Math.round(performance.now() - begun);
    say(`${count(numbers.length)} of ${counted(run.rows, "row")}${words.length ? ` · ${time} ms` : ""}`);
    list.show(numbers, words, Number(state.row ?? -1));
    list.top();
    if (list.chosen >= 0) list.reveal();
    document.documentElement.dataset.found = `${numbers.length} ${time}`;
  };
  if (!words.length) {
    search.turn++;
    done(ordered(pass));
    return;
  }
  const hits = new Uint8Array(index.count);
  let last = 0;
  const whole = await search.run(words, pass, hits, (share) => {
    if (performance.now() - last < 150) return;
    last = performance.now();
    const found = ordered(hits);
    say(`${count(found.length)} so far · ${Math.round(100 * share)} % searched`);
    list.show(found, words, Number(state.row ?? -1));
  });
  if (whole) done(ordered(hits));
}

window.addEventListener("unhandledrejection", ({ reason }) => {
  document.body.dataset.shows = "overview";
  by("detail").replaceChildren(el("p.failure", { role: "alert" }, String(reason?.message ?? reason)));
});
start();
