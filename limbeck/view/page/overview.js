"use strict";
// What happened to the rows, step by step; every number opens the rows it counts.

function overview(run, index) {
  const refusals = tally(index.refused.length, (row) => index.refused[row], index.refusals.length)
    .map(([code, rows]) => [index.refusals[code], rows]);
  const gates = refusals.filter(([[gate]]) => gate !== "request");
  const failures = refusals.filter(([[gate]]) => gate === "request");
  return [
    el("h2", null, "Overview"),
    run.steps[0].kind ? stepTable(run) : null,
    ...run.steps.filter((step) => step.yield).map(yieldOf),
    gates.length ? bars("Rejected by reason", gates, ([gate, reason]) => [`${gate}: ${reason}`, { gate, reason }],
      "A row that several gates rejected counts in each.") : null,
    failures.length ? bars("Failed requests by reason", failures, ([gate, reason]) => [reason, { gate, reason }]) : null,
    ...["operator", "teacher", "kind"].map((name) => {
      const counts = tally(index.known, (row) => [index.codes[name][row]], index.words[name].length)
        .map(([code, rows]) => [index.words[name][code], rows]);
      return counts.length > (name === "kind" ? 1 : 0)
        ? bars(`Rows by ${name}`, counts, (word) => [word, { [name]: word }]) : null;
    }),
    lengths("Rows by length", "characters", "characters", index),
    lengths("Rows by tokens out", "tokens_out", "tokens", index),
    el("p.soft.keys", null, "Keys: ", ...[["/", "search"], ["↑ ↓", "rows"], ["Enter", "read"], ["Esc", "back"]].flatMap(
      ([key, does]) => [el("kbd", null, key), ` ${does}   `])),
  ];
}

/** Numbers of rows in classes, each of twice the width of the one before. */
function lengths(title, name, unit, index) {
  const counts = [];
  for (const value of index.numbers[name]) {
    if (value !== value) continue;
    const place = value < FINEST ? 0 : Math.floor(Math.log2(value / FINEST)) + 1;
    counts[place] = (counts[place] ?? 0) + 1;
  }
  if (!counts.length) return null;
  const all = Array.from(counts, (rows, place) => [place, rows ?? 0]).filter(([place, rows]) => rows || place > counts.findIndex(Boolean));
  return bars(title, all, (place) => {
    const from = place ? FINEST * 2 ** (place - 1) : 0, to = FINEST * 2 ** place - 1;
    return [`${count(from)} to ${count(to)} ${unit}`, { [`${name}_from`]: from || undefined, [`${name}_to`]: to }];
  });
}

const FINEST = 32;

/** How often each code occurs, the most frequent first. */
function tally(count, codesOf, kinds) {
  const counts = new Array(kinds).fill(0);
  for (let row = 0; row < count; row++) for (const code of codesOf(row)) if (code >= 0) counts[code]++;
  return [...counts.entries()].filter(([, rows]) => rows).sort((one, other) => other[1] - one[1]);
}

const COLUMNS = ["Rows", "Rejected", "Failed", "Tokens in", "Tokens out", "Price"];

function stepTable(run) {
  const rows = (step, status) => {
    const sum = step.parts.filter((part) => part.status === status).reduce((total, part) => total + part.rows, 0);
    return sum ? el("a", { href: address({ step: step.name, status }) }, count(sum)) : "–";
  };
  const number = (value) => (typeof value === "number" ? count(value) : "–");
  const line = (step) => {
    const told = step.yield ?? {};
    const cells = [...["accepted", "rejected", "failed"].map((status) => rows(step, status)),
      number(told.tokens_in), number(told.tokens_out), price(told.cost, told.currency)];
    return el("tr", null,
      el("th", { scope: "row" }, shown(`${step.kind} ${step.out}`), step.said ? el("small", null, shown(step.said)) : null,
        ...(step.notes ?? []).map((note) => el("small", null, shown(note)))),
      ...cells.map((cell, at) => el(cell === "–" ? "td.none" : "td", { "data-title": COLUMNS[at] },
        typeof cell === "string" ? shown(cell) : cell)));
  };
  return el("div.wide", null, el("table.steps", null,
    el("caption", null, "Every step that made rows. A number opens its rows."),
    el("thead", null, el("tr", null, ...["Step", ...COLUMNS].map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", null, ...run.steps.map(line))));
}

function price(cost, currency) {
  if (cost === null || cost === undefined) return "–";
  const number = Number(cost);
  return `${Number.isFinite(number) ? short(number) : String(cost)} ${currency ?? ""}`.trim();
}

/** From candidates to accepted rows. */
function yieldOf(step) {
  const told = step.yield;
  const all = told.candidates || 1;
  const stage = (title, number, tone, says) => el("li", null, el("span.bar-name", null, shown(title)),
    el("span.track", null, filled(number / all, tone)), el("span.bar-count", null, says));
  const share = (number) => `${count(number)} · ${((100 * number) / all).toFixed(1)} %`;
  const gates = Array.isArray(told.gates) ? told.gates : [];
  const calls = [
    ["Calls", told.calls], ["From the cache", told.cached], ["Tokens in", told.tokens_in], ["Tokens out", told.tokens_out],
    ["Price", price(told.cost, told.currency)], ["Price of an accepted row", price(told.cost_per_accepted, told.currency)],
  ].filter(([, value]) => value !== undefined && value !== null && value !== "–");
  return el("section", null, el("h3", null, "Yield of ", shown(step.out)),
    el("ul.bars.stages", null,
      stage("candidates", told.candidates ?? 0, "plain", count(told.candidates ?? 0)),
      told.failed ? stage("failed requests", told.failed, "worse", share(told.failed)) : null,
      ...gates.map((gate) => stage(`rejected by ${gate.gate}`, gate.rejected ?? 0, "worse",
        `${count(gate.rejected ?? 0)} of ${count(gate.judged ?? 0)}`)),
      stage("accepted", told.accepted ?? 0, "better", share(told.accepted ?? 0))),
    calls.length ? el("dl.facts", null, ...calls.map(([title, value]) => el("div", null, el("dt", null, title),
      el("dd", null, typeof value === "number" ? count(value) : shown(String(value)))))) : null);
}

function filled(share, tone) {
  const made = el(share ? `span.fill.${tone}` : "span");
  made.style.width = `${Math.min(100, 100 * share)}%`;
  return made;
}

const BARS = 14;

/** A bar chart whose bars filter. */
function bars(title, counts, says, note) {
  const most = Math.max(...counts.map(([, rows]) => rows));
  const line = ([word, rows]) => {
    const [name, filter] = says(word);
    return el("li", null, el("a", { href: address(filter) }, el("span.bar-name", { dir: "auto" }, shown(name)),
      el("span.track", null, filled(rows / most, "plain")), el("span.bar-count", null, count(rows))));
  };
  const list = el("ul.bars", null, ...counts.slice(0, BARS).map(line));
  const rest = counts.slice(BARS);
  const sum = rest.reduce((total, [, rows]) => total + rows, 0);
  const more = rest.length ? el("button", { type: "button", onclick: () => {
    list.append(...rest.splice(0, 200).map(line));
    if (!rest.length) more.remove(); else more.textContent = `Show more of ${count(rest.length)} others`;
  } }, `Show ${counted(rest.length, "other")}, ${counted(sum, "row")}`) : null;
  return el("section", null, el("h3", null, title), note ? el("p.soft", null, note) : null, list, more);
}
