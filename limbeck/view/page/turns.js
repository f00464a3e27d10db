"use strict";
// Rows as conversations: who says what, reasoning folded.

const ASKS = ["prompt", "question", "instruction", "query", "inputs", "input"];
const ANSWERS = ["completion", "answer", "response", "output", "targets", "target"];
const CONVERSATIONS = ["messages", "conversations", "conversation", "dialogue", "dialog", "turns", "contents", "chat"];
const ROLES = { human: "user", gpt: "assistant", model: "assistant", bot: "assistant", function: "tool" };
const THOUGHTS = ["reasoning_content", "reasoning", "thinking"];

const isTurn = (one) => one && typeof one === "object" && ("role" in one || "from" in one);
const areTurns = (value) => Array.isArray(value) && value.length > 0 && value.every(isTurn);

/** Turns of a field: those it holds, or one of `role` that says its text. */
function turnsOf(value, role) {
  if (areTurns(value)) return value;
  if (value === null || value === undefined) return [];
  return [{ role, content: typeof value === "string" ? value : JSON.stringify(value, null, 1) }];
}

/** The turns of prompts; an instruction and its input are one. */
function prompted(values) {
  if (values.length > 1 && values.every((value) => typeof value === "string")) return turnsOf(values.join("\n\n"), "user");
  return values.flatMap((value) => turnsOf(value, "user"));
}

/** What a row says, as titled lists of turns, and the names of the fields that are in them. */
function conversations(row) {
  const name = CONVERSATIONS.find((one) => areTurns(row[one]));
  const asks = ASKS.filter((one) => row[one] !== undefined && row[one] !== null);
  const system = typeof row.system === "string" ? [{ role: "system", content: row.system }] : [];
  const asked = [...system, ...(name ? turnsOf(row[name]) : prompted(asks.map((one) => row[one])))];
  const used = [...(system.length ? ["system"] : []), ...(name ? [name] : asks)];
  if (row.chosen && row.rejected) {
    return {
      used: [...used, "chosen", "rejected"],
      lists: [
        ...(asked.length ? [{ title: "Prompt", turns: asked }] : []),
        { title: "Chosen", turns: turnsOf(row.chosen, "assistant") },
        { title: "Rejected", turns: turnsOf(row.rejected, "assistant") },
      ],
    };
  }
  const answer = name ? undefined : ANSWERS.find((one) => row[one] !== undefined && row[one] !== null);
  if (answer && asked.length) {
    const [last, ...others] = turnsOf(row[answer], "assistant").toReversed();
    const thought = typeof row.rationale === "string" ? { rationale: row.rationale } : {};
    const turns = [...asked, ...others.toReversed(), { ...last, ...thought }];
    return { used: [...used, answer, ...Object.keys(thought)], lists: [{ turns }] };
  }
  if (asked.length) return { used, lists: [{ turns: asked }] };
  const plain = ["text", "text_a", "text_b", "premise", "hypothesis", "sentence", "sentence1", "sentence2"].filter((one) => typeof row[one] === "string");
  if (plain.length) {
    return { used: plain, lists: [{ turns: plain.map((one) => ({ role: one, content: row[one] })) }] };
  }
  if (Array.isArray(row.tokens) && Array.isArray(row.tags)) {
    const content = row.tokens.map((token, at) => (/^(O|0)$/.test(row.tags[at]) ? token : `[${token} ${row.tags[at]}]`));
    return { used: ["tokens", "tags"], lists: [{ turns: [{ role: "tokens", content: content.join(" ") }] }] };
  }
  return { used: [], lists: [] };
}

/** Text of a turn's content; parts that are no text as JSON. */
function contentOf(turn) {
  const content = turn.content ?? turn.value ?? "";
  if (typeof content === "string") return content;
  const parts = Array.isArray(content) ? content : [content];
  return parts.map((part) => (typeof part?.text === "string" ? part.text : JSON.stringify(part))).join("\n");
}

/** Thoughts and the rest of a turn. */
function thoughts(turn) {
  const text = contentOf(turn);
  const field = THOUGHTS.find((name) => typeof turn[name] === "string" && turn[name]);
  if (field) return [turn[field], text];
  const end = text.indexOf("</think>");
  if (end < 0) return ["", text];
  const start = text.indexOf("<think>");
  if (start > end) return ["", text];
  return [text.slice(start < 0 ? 0 : start + 7, end).trim(), text.slice(end + 8).trimStart()];
}

const folded = (title, text, words, open) => el("details.fold", { open },
  el("summary", null, `${title}, ${counted(text.length, "character")}`), block(text, words));

/** Turns as a list of what each says. */
function talk(turns, words) {
  return el("ol.talk", null, ...turns.map((turn) => {
    const role = String(turn.role ?? turn.from ?? "?");
    const side = ROLES[role] ?? role;
    const [thought, text] = thoughts(turn);
    const calls = parsed(turn.tool_calls);
    const hit = (one) => words.some((word) => one.toLowerCase().includes(word));
    return el(`li.turn`, { "data-role": side },
      el("span.role", null, shown(turn.name ? `${role} ${turn.name}` : role),
        turn.train === false ? el("span.soft", null, " not learnt") : null),
      thought ? folded("Reasoning", thought, words, hit(thought)) : null,
      turn.rationale ? el("div.rationale", null, el("span.soft", null, "rationale"), block(turn.rationale, words)) : null,
      text || !calls ? block(text, words) : null,
      ...(calls ? [calls].flat().map((call) => toolCall(call, words)) : []));
  }));
}

/** A call as `name(arguments)`; of another shape, as JSON. */
function toolCall(call, words) {
  const { name, arguments: given } = call?.function ?? call ?? {};
  const values = parsed(given) ?? given;
  const text = typeof name === "string" ? `${name}(${values === undefined ? "" : JSON.stringify(values, null, 1)})` : JSON.stringify(call, null, 1);
  return el("div.call", null, el("span.soft", null, "calls"), block(text, words));
}

/** A row in two short texts: what is asked, what is answered; where searched words stand elsewhere, that instead. */
function glimpse(row, words) {
  const turns = conversations(row).lists.filter((list) => list.title !== "Rejected").flatMap((list) => list.turns);
  const said = (role) => turns.findLast((turn) => (ROLES[turn.role ?? turn.from] ?? turn.role ?? turn.from) === role);
  const question = said("user") ?? turns[0];
  const answer = said("assistant");
  const pair = [question ? contentOf(question) : "", answer && answer !== question ? thoughts(answer)[1] : ""];
  const has = (text) => words.some((word) => text.toLowerCase().includes(word));
  if (turns.length && (!words.length || has(pair[0]) || has(pair[1]))) return pair;
  const others = Object.entries(row).filter(([name]) => turns.length || name !== "id").flatMap(([name, value]) => {
    const found = [];
    texts(value, found);
    return found.map((text) => [name, text]);
  });
  if (!turns.length && !words.length) return [others.map(([name, text]) => `${name}: ${text}`).join("  "), ""];
  const there = others.find(([, text]) => has(text));
  return there ? [pair[0], `${there[0]}: ${near(there[1], words)}`] : pair;
}
