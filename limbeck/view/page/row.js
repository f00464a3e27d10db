"use strict";
// One row in full.

const FACTS = [
  ["operator", "Operator"], ["teacher", "Teacher"], ["sample", "Sample"], ["tokens_in", "Tokens in"],
  ["tokens_out", "Tokens out"], ["cost", "Cost"], ["terms", "Terms"], ["finished", "Came to its end"],
];
const APART = ["id", "parents", "asked", "verdicts", "reasoning", "reference", ...FACTS.map(([name]) => name)];

/** The page of a row. */
function rowPage(index, number, row, words) {
  const part = index.part(number);
  const { used, lists } = conversations(row);
  const asked = parsed(row.asked);
  return [
    el("p.soft.where", null, verdict(part), " ", shown(place(part)), ` · row ${count(number + 1)} of ${count(index.count)}`),
    el("h2", null, shown(index.ids[number])),
    part.status === "failed" ? failure(row, words) : null,
    verdictTable(parsed(row.verdicts), words),
    facts(row, part.step.yield?.currency),
    el("div.beside", null,
      lists.length ? el("section", null, el("h3", null, asked ? "What the student reads" : "What it says"),
        ...lists.flatMap((list) => [list.title ? el("h4", null, list.title) : null, talk(list.turns, words)]),
      ) : null,
      asked ? el("section", null, el("h3", null, "What the teacher was asked"), ...prompt(asked, words)) : null),
    typeof row.reference === "string" && row.reference
      ? el("section", null, el("h3", null, "The answer it had before"), block(row.reference, words)) : null,
    row.reasoning ? folded("The teacher's reasoning", row.reasoning, words,
      words.some((word) => row.reasoning.toLowerCase().includes(word))) : null,
    lineage(index, number, part),
    fields(row, part.status === "failed" ? ["row_id", "reason", "message"] : [...used, ...APART], words),
    stored(row),
  ];
}

const place = (part) => (part.step.kind ? `${part.step.kind} ${part.step.out}, ${part.name}` : part.name);

function failure(row, words) {
  return el("section.failure", null, el("h3", null, "The request failed: ", shown(String(row.reason ?? "no reason told"))),
    block(String(row.message ?? ""), words));
}

function facts(row, currency) {
  const there = FACTS.filter(([name]) => row[name] !== null && row[name] !== undefined);
  if (!there.length) return null;
  const said = (name) => {
    const value = row[name];
    if (name === "cost") return price(value, currency);
    if (typeof value === "boolean") return value ? "yes" : "no";
    return typeof value === "number" ? count(value) : String(value);
  };
  return el("dl.facts", null, ...there.map(([name, title]) =>
    el("div", null, el("dt", null, title), el("dd", null, shown(said(name))))));
}

function verdictTable(verdicts, words) {
  if (!Array.isArray(verdicts) || !verdicts.length) return null;
  const line = (one) => {
    const tone = one.passed === false ? "worse" : "better";
    return el("tr", null, el("th", { scope: "row" }, shown(String(one.gate ?? "?"))),
      el(`td.${tone}`, null, one.passed === false ? "✗ rejected" : "✓ passed"),
      el("td", null, typeof one.score === "number" ? short(one.score) : shown(String(one.score ?? "–"))),
      el("td.text", null, shown(String(one.reason ?? ""), words),
        one.detail === null || one.detail === undefined || one.detail === "" ? null : detail(one.detail, words)));
  };
  return el("div.wide", null, el("table.verdicts", null,
    el("thead", null, el("tr", null, ...["Gate", "Verdict", "Score", "Reason"].map((title, at) =>
      el(at === 3 ? "th.text" : "th", { scope: "col" }, title)))),
    el("tbody", null, ...verdicts.filter((one) => one && typeof one === "object").map(line))));
}

function detail(value, words) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  return text.length < 80 ? el("small", null, shown(text, words)) : folded("Detail", text, words, false);
}

/** A request as it was sent: turns, a text, ids, and whatever else it had. */
function prompt(asked, words) {
  if (typeof asked !== "object" || Array.isArray(asked)) {
    return areTurns(asked) ? [talk(asked, words)] : [block(JSON.stringify(asked, null, 1), words)];
  }
  const { messages, text, ...others } = asked;
  return [
    areTurns(messages) ? talk(messages, words) : null,
    typeof text === "string" ? block(text, words) : null,
    ...Object.entries(others).map(([name, value]) => folded(name, JSON.stringify(value, null, 1), words, false)),
  ];
}

function lineage(index, number, part) {
  const id = index.ids[number];
  const told = new Set([number]);  // a row that keeps its parent's id would be told of twice
  const untold = (rows) => rows.filter((row) => !told.has(row) && told.add(row));
  const groups = [
    ["Parents", index.parents[number].map((parent) => [parent, untold(index.named(parent))])],
    ["Children", apart(index, untold(index.children(id)))],
    ["The same id elsewhere", apart(index, untold(index.named(id)).filter((row) => index.part(row) !== part))],
  ].filter(([, entries]) => entries.length);
  if (!groups.length) return null;
  return el("section", null, el("h3", null, "Lineage"), el("dl", null, ...groups.flatMap(([title, entries]) => [
    el("dt", null, title), el("dd", null, el("ul.links", null, ...links(index, entries)))])));
}

const apart = (index, rows) => rows.map((row) => [index.ids[row], [row]]);
const LINKS = 200;

function links(index, entries) {
  const made = entries.slice(0, LINKS).map(([id, rows]) => el("li", null, shown(id), " ", ...(rows.length
    ? rows.slice(0, LINKS).map((row) => el("a", { href: address({ row }) }, verdictWord(index.part(row)), shown(place(index.part(row)))))
    : [el("span.soft", null, "not among these rows")])));
  if (entries.length > LINKS) made.push(el("li.soft", null, `and ${count(entries.length - LINKS)} more`));
  return made;
}

const verdictWord = (part) => (part.status === "accepted" ? "" : `${part.status}: `);

/** The fields that are not shown above. */
function fields(row, shownAbove, words) {
  const others = Object.entries(row).filter(([name, value]) =>
    !shownAbove.includes(name) && value !== null && !(Array.isArray(value) && !value.length));
  if (!others.length) return null;
  return el("section", null, el("h3", null, shownAbove.length > APART.length ? "Other fields" : "Fields"), el("dl", null, ...others.flatMap(([name, value]) => [
    el("dt", null, shown(name)),
    el("dd", null, typeof value === "object" ? block(JSON.stringify(value, null, 1), words)
      : typeof value === "string" && (value.length > 80 || value.includes("\n")) ? block(value, words)
        : shown(String(value), words))])));
}

function stored(row) {
  const made = el("details.fold", null, el("summary", null, "The row as it is stored"));
  made.addEventListener("toggle", () => made.append(block(JSON.stringify(row, null, 1), [])), { once: true });
  return made;
}
