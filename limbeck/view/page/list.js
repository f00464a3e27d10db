"use strict";
// The list of rows: only those in sight are in the document, however many there are.

const LINE = 68;  // pixels of a row, as in page.css
const TALLEST = 8e6;  // pixels: browsers cut higher boxes off

class List {
  constructor(index, rows, open) {
    Object.assign(this, { index, rows, open });
    this.box = document.getElementById("list");
    this.sheet = document.getElementById("sheet");
    this.numbers = new Uint32Array(0);
    this.words = [];
    this.chosen = -1;  // place in numbers
    this.made = new Map();  // place -> element
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  show(numbers, words, row) {
    this.numbers = numbers;
    this.words = words;
    this.chosen = numbers.indexOf(row);
    this.made.clear();
    this.sheet.replaceChildren();
    this.sheet.style.height = `${Math.min(TALLEST, numbers.length * LINE)}px`;
    this.draw();
  }

  /** Scrolled to the first of the rows. */
  top() {
    this.box.scrollTop = 0;
  }

  /** Where the row at the top of the box is, in rows, and how far the sheet is squeezed. */
  get ratio() {
    const room = this.box.clientHeight;
    const whole = this.numbers.length * LINE;
    return whole <= TALLEST ? 1 : (whole - room) / (TALLEST - room);
  }

  draw() {
    const room = this.box.clientHeight, ratio = this.ratio;
    const from = this.box.scrollTop * ratio;
    const first = Math.max(0, Math.floor(from / LINE) - 4);
    const last = Math.min(this.numbers.length, Math.ceil((from + room) / LINE) + 4);
    for (const [place, element] of this.made) {
      if (place < first || place >= last) {
        element.remove();
        this.made.delete(place);
      }
    }
    for (let place = first; place < last; place++) {
      if (!this.made.has(place)) {
        const element = this.item(place);
        this.made.set(place, element);
        this.sheet.append(element);
      }
      this.made.get(place).style.top = `${place * LINE - from + this.box.scrollTop}px`;
    }
    this.mark();
  }

  item(place) {
    const row = this.numbers[place];
    const part = this.index.part(row);
    const name = el("b", null, shown(this.index.ids[row] ?? ""));
    const gates = this.index.refused[row].map((code) => this.index.refusals[code].join(": "));
    const where = el("span.soft", null, shown([...gates, part.step.kind ? `${part.step.kind} ${part.step.out}` : part.name].join(" · ")));
    const says = el("span.says", { dir: "auto" });
    const asks = el("span.asks", { dir: "auto" });
    const item = el(`div.item.${part.status}`, {
      role: "option", id: `item-${place}`, "aria-posinset": place + 1, "aria-setsize": this.numbers.length,
      onclick: () => this.choose(place),
    }, el("span.head", null, verdict(part), name, where), asks, says);
    this.fill(row, item, asks, says);
    return item;
  }

  async fill(row, item, asks, says) {
    const values = await this.rows.row(row);
    if (!item.isConnected) await breath();  // scrolled past, or about to be drawn
    const [question, answer] = glimpse(values, this.words);
    asks.append(shown(near(question, this.words), this.words));
    says.append(shown(near(answer, this.words), this.words));
  }

  mark() {
    for (const [place, element] of this.made) element.setAttribute("aria-selected", place === this.chosen);
    const there = this.made.has(this.chosen);
    if (there) this.box.setAttribute("aria-activedescendant", `item-${this.chosen}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  choose(place) {
    if (place < 0 || place >= this.numbers.length) return;
    this.chosen = place;
    this.reveal();
    this.mark();
    this.open(this.numbers[place]);
  }

  /** Scroll so far that the chosen row is in sight. */
  reveal() {
    const room = this.box.clientHeight, ratio = this.ratio;
    const from = this.box.scrollTop * ratio, top = this.chosen * LINE;
    if (top < from) this.box.scrollTop = top / ratio;
    else if (top + LINE > from + room) this.box.scrollTop = (top + LINE - room) / ratio;
    this.draw();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / LINE) - 1);
    const last = this.numbers.length - 1;
    const to = {
      ArrowDown: this.chosen + 1, ArrowUp: this.chosen - 1, PageDown: Math.min(last, this.chosen + page),
      PageUp: Math.max(0, this.chosen - page), Home: 0, End: last,
    }[event.key];
    if (to !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      this.choose(to);
    } else if (event.key === "Enter" && this.chosen >= 0) {
      document.getElementById("detail").focus();
    }
  }
}

/** What became of the rows of a part, where that is a question. */
function verdict(part) {
  const asked = part.status !== "accepted" || part.step.yield || part.step.parts.some((one) => one.status !== "accepted");
  return asked ? el(`span.status.${part.status}`, null, part.status) : null;
}

const GLIMPSE = 160;  // characters

/** The part of a text around the first word that is searched. */
function near(text, words) {
  const lower = words.length ? text.toLowerCase() : "";
  const found = words.map((word) => lower.indexOf(word)).filter((place) => place >= 0);
  const from = found.length ? Math.max(0, Math.min(...found) - 24) : 0;
  return (from ? "…" : "") + text.slice(from, from + GLIMPSE).replace(/[ \t\n]+/g, " ");
}
