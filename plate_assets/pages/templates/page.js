"use strict";
// What every page shares: elements and their data, one Tab stop among many marks, sorted tables, charts. A page that does more
// has a script of its own behind this one, which takes what it needs from `page`.
const page = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 58, RIGHT = 10, TOP = 10, BOTTOM = 34; // margins of a chart, px
  const blocks = new Map();

  const byId = (id) => document.getElementById(id);

  // The JSON that an element of the page holds, null where there is none.
  function dataOf(id) {
    if (!blocks.has(id)) blocks.set(id, byId(id) ? JSON.parse(byId(id).textContent) : null);
    return blocks.get(id);
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function drawn(parent, tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  // A number as people read it: some digits that count, a dash where there is none.
  function figures(value, digits) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
  }

  // Of many marks one alone is reached by Tab; arrow keys go on from there.
  function rove(marks, mark) {
    marks.forEach((other) => { if (other.getAttribute("tabindex") === "0") other.setAttribute("tabindex", "-1"); });
    mark.setAttribute("tabindex", "0");
  }

  // Steps down and right of an arrow key, null of any other.
  function arrow(event) {
    return { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || null;
  }

  const presses = (event) => event.key === "Enter" || event.key === " ";

  // What is shown now is marked where it stands, and nothing else is.
  function markHere(marks) {
    document.querySelectorAll(".here").forEach((mark) => mark.classList.remove("here"));
    marks.forEach((mark) => mark.classList.add("here"));
  }

  // The address names what is open, so that it can be sent and opened again.
  const remember = (fragment) => history.replaceState(null, "", "#" + fragment);
  const asked = () => decodeURIComponent(location.hash.slice(1));

  // Draws an element when it comes near the window, once.
  function whenSeen(elements, draw, rootMargin) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        draw(entry.target);
        seen.unobserve(entry.target);
      }
    }, { rootMargin });
    for (const one of elements) seen.observe(one);
  }

  // Rows by a column: numbers the largest first, ranks and words the first first, empty ones last; a second click turns it round.
  function sortBy(head) {
    const table = head.closest("table"), kind = head.dataset.kind;
    const first = kind === "number" ? "descending" : "ascending", other = kind === "number" ? "ascending" : "descending";
    const next = head.getAttribute("aria-sort") === first ? other : first;
    table.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    table.classList.toggle("by-rank", kind === "rank" && next === "ascending");
    const compare = kind === "text" ? (a, b) => a.localeCompare(b, "en", { numeric: true }) : (a, b) => Number(a) - Number(b);
    const keyOf = (cell) => (cell.dataset.value ?? cell.textContent.trim()).replace(/^–$/, "");
    const keyed = [...table.tBodies[0].rows].map((row, at) => ({ row, at, key: keyOf(row.cells[head.cellIndex]) }));
    keyed.sort((a, b) => {
      if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1;
      return (next === "descending" ? compare(b.key, a.key) : compare(a.key, b.key)) || a.at - b.at;
    });
    table.tBodies[0].append(...keyed.map((item) => item.row));
  }

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("table.sortable th[data-kind] button") : null;
    if (button) sortBy(button.closest("th"));
  });

  function ticks(low, high, about) {
    const raw = (high - low) / about;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * ([1, 2, 2.5, 5, 10].find((m) => raw <= power * m * 1.0001) || 10);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i += 1) found.push(Number((i * step).toPrecision(12)));
    return found;
  }

  function decades(low, high) {
    const found = [];
    for (let d = Math.ceil(Math.log10(low)); d <= Math.log10(high); d += 1) found.push(10 ** d);
    return found.length > 1 ? found : [low, Math.sqrt(low * high), high].map((v) => Number(v.toPrecision(2)));
  }

  // The least and the largest value with some room around them.
  function range(values) {
    const found = values.filter((v) => v !== null);
    if (!found.length) return [0, 1];
    const low = Math.min(...found), high = Math.max(...found);
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - room, high + room];
  }

  // A chart with its axes in a box: x and y turn values into places, `value` a place into a value of x. log: of the y axis.
  function chart(box, { height, x, y, log = false, xLabel, yLabel, name }) {
    const width = Math.max(300, box.clientWidth);
    const svg = drawn(null, "svg", { viewBox: "0 0 " + width + " " + height, height, role: "img", "aria-label": name });
    box.replaceChildren(svg);
    const scale = log ? Math.log10 : (v) => v;
    const [low, high] = y.map(scale);
    const place = {
      svg, width, height, left: LEFT, right: width - RIGHT, top: TOP, bottom: height - BOTTOM,
      x: (v) => LEFT + (v - x[0]) / (x[1] - x[0]) * (width - LEFT - RIGHT),
      y: (v) => TOP + (high - scale(v)) / (high - low) * (height - TOP - BOTTOM),
      value: (px) => x[0] + (px - LEFT) / (width - LEFT - RIGHT) * (x[1] - x[0]),
    };
    place.back = drawn(svg, "g", {});
    for (const t of log ? decades(...y) : ticks(...y, 4)) {
      drawn(svg, "path", { class: "grid", d: "M" + LEFT + " " + place.y(t) + "H" + place.right });
      drawn(svg, "text", { x: LEFT - 6, y: place.y(t) + 4, "text-anchor": "end" }, figures(t, 3));
    }
    for (const t of ticks(...x, Math.max(3, width / 90))) {
      drawn(svg, "path", { class: "tick", d: "M" + place.x(t) + " " + place.bottom + "v5" });
      drawn(svg, "text", { x: place.x(t), y: place.bottom + 17, "text-anchor": "middle" }, figures(t, 3));
    }
    drawn(svg, "path", { class: "tick", d: "M" + LEFT + " " + place.bottom + "H" + place.right });
    drawn(svg, "text", { x: (LEFT + width) / 2, y: height - 3, "text-anchor": "middle" }, xLabel);
    drawn(svg, "text", { x: 12, y: (TOP + place.bottom) / 2, "text-anchor": "middle",
      transform: "rotate(-90 12 " + (TOP + place.bottom) / 2 + ")" }, yLabel);
    return place;
  }

  // A line through values at even steps, broken where there is none; a value that stands alone is a dot.
  function line(place, className, values, start, step) {
    let path = "", open = false;
    values.forEach((value, i) => {
      if (value === null) { open = false; return; }
      path += (open ? "L" : "M") + place.x(start + i * step).toFixed(1) + " " + place.y(value).toFixed(1);
      if (!open && (i + 1 === values.length || values[i + 1] === null)) {
        drawn(place.svg, "circle", { class: "dot", r: 1.6, cx: place.x(start + i * step), cy: place.y(value) });
      }
      open = true;
    });
    drawn(place.svg, "path", { class: className, d: path || "M0 0" });
  }

  return { arrow, asked, byId, chart, dataOf, drawn, element, figures, line, markHere, presses, range, remember, rove, whenSeen };
})();
