"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const facts = JSON.parse(byId("facts").textContent);
  const list = document.querySelector(".ranked");
  const cache = new Map();
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 58, RIGHT = 10, TOP = 10, BOTTOM = 34;
  const STAR = "M0 -8L2.1 -2.6L7.9 -2.5L3.3 1.1L4.9 6.6L0 3.4L-4.9 6.6L-3.3 1.1L-7.9 -2.5L-2.1 -2.6Z";
  let current = null;

  function cellOf(path) {
    if (!cache.has(path)) cache.set(path, JSON.parse(byId("cell-" + path).textContent));
    return cache.get(path);
  }

  function figures(value) {
    if (value === null || value === undefined) return "–";
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
  }

  function drawn(parent, tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

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

  function range(values) {
    const found = values.filter((v) => v !== null);
    if (!found.length) return [0, 1];
    const low = Math.min(...found), high = Math.max(...found);
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - room, high + room];
  }

  // A chart with its axes: x and y turn values into places. y.log: a logarithmic axis.
  function chart(box, height, x, y, xLabel, yLabel, name) {
    const width = Math.max(300, box.clientWidth);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    svg.setAttribute("height", height);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", name);
    box.replaceChildren(svg);
    const scale = y.log ? Math.log10 : (v) => v;
    const [low, high] = y.range.map(scale);
    const place = {
      svg, width, height, bottom: height - BOTTOM,
      x: (v) => LEFT + (v - x[0]) / (x[1] - x[0]) * (width - LEFT - RIGHT),
      y: (v) => TOP + (high - scale(v)) / (high - low) * (height - TOP - BOTTOM),
      hour: (px) => x[0] + (px - LEFT) / (width - LEFT - RIGHT) * (x[1] - x[0]),
    };
    place.back = drawn(svg, "g", {});
    for (const t of y.log ? decades(...y.range) : ticks(...y.range, 4)) {
      drawn(svg, "path", { class: "grid", d: "M" + LEFT + " " + place.y(t) + "H" + (width - RIGHT) });
      drawn(svg, "text", { x: LEFT - 6, y: place.y(t) + 4, "text-anchor": "end" }, figures(t));
    }
    for (const t of ticks(...x, Math.max(3, width / 90))) {
      drawn(svg, "path", { class: "tick", d: "M" + place.x(t) + " " + place.bottom + "v5" });
      drawn(svg, "text", { x: place.x(t), y: place.bottom + 17, "text-anchor": "middle" }, figures(t));
    }
    drawn(svg, "path", { class: "tick", d: "M" + LEFT + " " + place.bottom + "H" + (width - RIGHT) });
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

  function shade(place, cell) {
    for (const [from, to] of cell.abnormal) {
      const x = place.x(from), width = place.x(to) - x;
      drawn(place.back, "rect", { class: "shade", x, y: TOP, width, height: place.bottom - TOP });
      drawn(place.back, "path", { class: "shade-edge", d: "M" + x + " " + TOP + "h" + width });
    }
    for (const [from, to] of cell.gaps) {
      const x = place.x(from);
      drawn(place.back, "rect", { class: "gap", x, y: TOP, width: Math.max(2, place.x(to) - x), height: place.bottom - TOP });
    }
  }

  function drawCurve(cell, fact, hours) {
    const place = chart(byId("curve"), 270, hours, { range: range(cell.mass) }, "hours since the time-lapse began", facts.label,
      "Dry mass of the cell over time");
    shade(place, cell);
    line(place, "curve", cell.mass, cell.start_h, cell.step_h);
    for (const [hour, mass] of cell.divisions) {
      const y = mass === null ? place.bottom - 10 : place.y(mass);
      const star = drawn(place.svg, "path", { class: "star", d: STAR, transform: "translate(" + place.x(hour) + " " + y + ")" });
      drawn(star, "title", {}, "division at " + hour.toFixed(1) + " h");
    }
    if (fact.first_abnormal_h !== null) {
      const from = place.x(fact.first_abnormal_h), to = place.x(fact.first_abnormal_h + facts.window_h), y = place.bottom - 3;
      drawn(place.svg, "path", { class: "first", d: "M" + from + " " + (y - 6) + "v6H" + to + "v-6" });
    }
    return place;
  }

  function drawErrors(cell, hours) {
    const known = cell.error.filter((v) => v !== null && v > 0);
    const box = byId("errors");
    if (!known.length) { box.replaceChildren(element("p", "notice", "No window without a gap.")); return null; }
    const low = Math.min(facts.threshold, ...known) / 1.4, high = Math.max(facts.threshold, ...known) * 1.4;
    const place = chart(box, 170, hours, { range: [low, high], log: true }, "hours since the time-lapse began", "error",
      "Error of each window with the threshold");
    shade(place, cell);
    const start = cell.start_h + facts.input_h, tau = place.y(facts.threshold);
    let area = "";
    cell.error.forEach((value, i) => {
      if (value === null || value <= facts.threshold) return;
      area += "M" + place.x(start + i * cell.step_h).toFixed(1) + " " + tau.toFixed(1) + "V" + place.y(value).toFixed(1);
    });
    const step = place.x(start + cell.step_h) - place.x(start);
    if (area) drawn(place.svg, "path", { d: area, class: "above", "stroke-width": Math.max(1, step) });
    line(place, "curve", cell.error.map((v) => (v === null ? null : Math.max(v, low))), start, cell.step_h);
    drawn(place.svg, "path", { class: "tau", d: "M" + LEFT + " " + tau + "H" + (place.width - RIGHT) });
    drawn(place.svg, "text", { class: "strong", x: LEFT + 5, y: tau - 5 }, "τ = " + figures(facts.threshold));
    return place;
  }

  function drawForecast(worst) {
    byId("worst").hidden = !worst;
    if (!worst) return;
    const step = facts.window_h / worst.mass.length, ahead = worst.start_h + facts.input_h;
    const x = [worst.start_h, worst.start_h + facts.window_h];
    const every = worst.mass.concat(worst.target, worst.forecast, worst.persistence, worst.linear);
    const place = chart(byId("forecast-plot"), 240, x, { range: range(every) }, "hours since the time-lapse began; shaded: the 10 h that are forecast",
      facts.label, "Forecast of the worst window against what was measured");
    drawn(place.back, "rect", { class: "ahead", x: place.x(ahead), y: TOP, width: place.x(x[1]) - place.x(ahead), height: place.bottom - TOP });
    line(place, "curve thin", worst.mass, worst.start_h, step);
    for (const name of ["linear", "persistence", "target"]) line(place, name, worst[name], ahead, step);
    line(place, "network", worst.forecast, ahead, step);
    byId("worst-words").textContent = "in the worst window, " + x[0].toFixed(1) + " to " + x[1].toFixed(1) + " h";
    const keys = byId("worst-keys");
    const error = (name) => (worst[name] && worst[name].length ? ", error " + figures(worst[name][0]) : "");
    keys.replaceChildren(
      element("span", "key k-input", "measured"), element("span", "key k-target", "1-h mean: the target"),
      element("span", "key k-network", "network" + error("mse")), element("span", "key k-persistence", "persistence" + error("mse_persistence")),
      element("span", "key k-linear", "linear growth" + error("mse_linear")));
  }

  // A line at the pointer's hour in both charts, and the values there in words.
  function follow(places, cell) {
    const lines = places.map((place) => drawn(place.svg, "path", { class: "cross", d: "M-9 0" }));
    const read = (event, place) => {
      const box = place.svg.getBoundingClientRect();
      const hour = place.hour((event.clientX - box.left) * place.width / box.width);
      const at = Math.round((hour - cell.start_h) / cell.step_h);
      if (at < 0 || at >= cell.mass.length) { leave(); return; }
      const time = cell.start_h + at * cell.step_h;
      const error = cell.error[Math.round((time - facts.input_h - cell.start_h) / cell.step_h)];
      lines.forEach((mark, i) => mark.setAttribute("d", "M" + places[i].x(time) + " " + TOP + "V" + places[i].bottom));
      const mass = cell.mass[at] === null ? "not measured" : figures(cell.mass[at]) + " " + facts.unit;
      byId("read").textContent = time.toFixed(1) + " h · " + mass
        + (error === null || error === undefined ? "" : " · forecast from here: error " + figures(error) + " (" + figures(error / facts.threshold) + " τ)");
    };
    const leave = () => { lines.forEach((mark) => mark.setAttribute("d", "M-9 0")); byId("read").textContent = ""; };
    for (const place of places) {
      place.svg.addEventListener("pointermove", (event) => read(event, place));
      place.svg.addEventListener("pointerleave", leave);
    }
  }

  function drawCharts() {
    if (current === null) return;
    const cell = cellOf(current), fact = facts.cells[current];
    const hours = [cell.start_h, cell.start_h + Math.max(1, cell.mass.length - 1) * cell.step_h];
    follow([drawCurve(cell, fact, hours), drawErrors(cell, hours)].filter(Boolean), cell);
    drawForecast(cell.worst);
  }

  function drawStrip(path) {
    const block = byId("strip-" + path);
    byId("strip").hidden = !block;
    if (!block) return;
    const found = JSON.parse(block.textContent);
    byId("strip-picture").src = found.src;
    byId("strip-picture").alt = "Strip of cell " + path;
    byId("strip-words").textContent = found.words;
  }

  function quoted(text) {
    return /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\"'\"'") + "'";
  }

  function command() {
    const verdict = byId("verdict").value, biology = byId("biology");
    biology.disabled = verdict === "acquisition" || verdict === "false_positive";
    const words = ["plate-assets", "annotate", facts.name, current, verdict];
    if (biology.value && !biology.disabled) words.push("--biology", biology.value);
    words.push("--author", byId("author").value.trim() || "NAME");
    byId("command").textContent = words.map((word) => quoted(String(word))).join(" ");
  }

  function words(path, fact) {
    const parts = ["score " + fact.score.toFixed(2) + " (threshold " + figures(fact.threshold) + ")",
      fact.n_abnormal + " of " + fact.n_windows + " windows abnormal"];
    if (fact.first_abnormal_h !== null) parts.push("the first from " + fact.first_abnormal_h.toFixed(1) + " h on");
    parts.push("mean error " + figures(fact.mean_mse) + " (persistence " + figures(fact.mean_persistence) + ", linear growth " + figures(fact.mean_linear) + ")");
    parts.push("lineage " + fact.lineage_id + (fact.well ? ", well " + fact.well : ""));
    if (fact.relatives > 0) parts.push(fact.relatives + " other abnormal path" + (fact.relatives > 1 ? "s" : "") + " of the lineage: they share what came before they parted");
    return parts.join(" · ");
  }

  function show(path) {
    const fact = facts.cells[path];
    current = path;
    byId("detail").hidden = false;
    byId("detail-title").textContent = "Cell " + path;
    const cause = byId("detail-cause");
    cause.textContent = fact.abnormal ? "a guess: " + fact.cause : "not flagged";
    cause.className = "cause " + (fact.abnormal ? (fact.cause === "biology" ? "biological" : "acquisition") : "plain");
    byId("detail-rank").textContent = "rank " + fact.rank;
    byId("detail-words").textContent = words(path, fact);
    byId("detail-evidence").replaceChildren(...fact.evidence.map((text) => element("li", "", text)));
    byId("said").textContent = fact.verdict ? "Said: " + fact.verdict + "." : "Nobody has said yet what this cell is. Run:";
    drawStrip(path);
    drawCharts();
    command();
    document.querySelectorAll("tr.here, .timelapse-row.here").forEach((row) => row.classList.remove("here"));
    document.querySelectorAll('tr[data-cell="' + path + '"], .timelapse-row[data-cell="' + path + '"]').forEach((row) => row.classList.add("here"));
    byId("before").disabled = !neighbour(-1);
    byId("after").disabled = !neighbour(1);
    history.replaceState(null, "", "#cell-" + path);
  }

  function rowOf(path) {
    return list.querySelector('tr[data-cell="' + path + '"]');
  }

  function neighbour(way) {
    const rows = [...list.tBodies[0].rows].filter((row) => !row.hidden);
    return rows[rows.indexOf(rowOf(current)) + way];
  }

  function intoView(row) {
    const box = row.closest(".rows"), head = list.tHead.offsetHeight;
    if (row.offsetTop - head < box.scrollTop) box.scrollTop = row.offsetTop - head;
    if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
  }

  function open(path, from) {
    show(path);
    const row = rowOf(path);
    intoView(row);
    if (from === "list") {
      row.querySelector("button.link").focus({ preventScroll: true });
      if (matchMedia("(max-width: 1100px)").matches) byId("detail").scrollIntoView();
    } else if (from === "timelapse") {
      byId("detail").scrollIntoView({ block: "start" });
      byId("detail-title").focus({ preventScroll: true });
    }
  }

  function walk(way) {
    const row = neighbour(way);
    if (row) { show(row.dataset.cell); intoView(row); }
    return row;
  }

  function rove(mark) {
    document.querySelectorAll('.timelapse-row[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", "-1"));
    mark.setAttribute("tabindex", "0");
  }

  function sortBy(head) {
    const table = head.closest("table");
    const number = head.dataset.kind === "number";
    const first = number && head.cellIndex ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const next = head.getAttribute("aria-sort") === first ? other : first;
    table.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    table.classList.toggle("by-rank", head.cellIndex === 0 && next === "ascending");
    const compare = number ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
    const keyed = [...table.tBodies[0].rows].map((row, at) => ({ row, at, key: row.cells[head.cellIndex].dataset.value }));
    keyed.sort((a, b) => {
      if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1;
      return (next === "descending" ? compare(b.key, a.key) : compare(a.key, b.key)) || a.at - b.at;
    });
    table.tBodies[0].append(...keyed.map((item) => item.row));
  }

  function filterBy(cause) {
    for (const row of list.tBodies[0].rows) row.hidden = Boolean(cause) && row.dataset.cause !== cause;
    if (current === null) return;
    byId("before").disabled = !neighbour(-1);
    byId("after").disabled = !neighbour(1);
  }

  function spark(row) {
    const cell = cellOf(row.dataset.cell), every = Math.max(1, Math.floor(cell.mass.length / 60));
    const [low, high] = range(cell.mass);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 92 26");
    const x = (i) => 1 + 90 * i / Math.max(1, cell.mass.length - 1);
    for (const [from, to] of cell.abnormal) {
      const begin = x((from - cell.start_h) / cell.step_h);
      drawn(svg, "rect", { class: "shade", x: begin, y: 0, width: x((to - cell.start_h) / cell.step_h) - begin, height: 26 });
    }
    let path = "", joined = false;
    for (let i = 0; i < cell.mass.length; i += every) {
      const part = cell.mass.slice(i, i + every).filter((v) => v !== null);
      if (!part.length) { joined = false; continue; }
      const mean = part.reduce((a, b) => a + b, 0) / part.length;
      path += (joined ? "L" : "M") + x(i).toFixed(1) + " " + (25 - 24 * (mean - low) / (high - low)).toFixed(1);
      joined = true;
    }
    drawn(svg, "path", { class: "curve", d: path || "M0 0" });
    row.querySelector(".spark").replaceChildren(svg);
  }

  async function copy() {
    const text = byId("command");
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      byId("copy").textContent = "Copied";
    } catch {
      byId("copy").textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
  }

  document.addEventListener("click", (event) => {
    const at = event.target instanceof Element ? event.target : null;
    if (!at) return;
    const head = at.closest("table.sortable th[data-kind]");
    if (head && at.closest("button")) { sortBy(head); return; }
    const mark = at.closest("[data-cell]");
    if (!mark) return;
    const ofRow = mark.classList.contains("timelapse-row");
    if (ofRow) rove(mark);
    open(mark.dataset.cell, ofRow ? "timelapse" : "list");
  });

  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element ? event.target : null;
    const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const mark = at && at.closest(".timelapse-row");
    if (mark) {
      const rows = [...document.querySelectorAll(".timelapse-row")];
      const next = way ? rows[rows.indexOf(mark) + way] : null;
      if (next) { event.preventDefault(); rove(next); next.focus(); }
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(mark.dataset.cell, "timelapse"); }
      return;
    }
    if (!at || !list) return;
    const row = at.closest(".ranked tbody tr");
    if (row && way && current !== null) {
      event.preventDefault();
      const next = walk(way);
      if (next) next.querySelector("button.link").focus({ preventScroll: true });
    }
    if (row && event.key === "Enter") { event.preventDefault(); open(row.dataset.cell, "list"); byId("detail-title").focus({ preventScroll: true }); }
    if (event.key === "Escape" && at.closest("#detail")) rowOf(current).querySelector("button.link").focus();
  });

  const timelapseRow = document.querySelector(".timelapse-row");
  if (timelapseRow) timelapseRow.setAttribute("tabindex", "0");
  if (!list) return;
  byId("before").addEventListener("click", () => walk(-1));
  byId("after").addEventListener("click", () => walk(1));
  byId("verdict").addEventListener("change", command);
  byId("biology").addEventListener("change", command);
  byId("author").addEventListener("input", command);
  byId("copy").addEventListener("click", copy);
  document.querySelectorAll('.filter input').forEach((input) => input.addEventListener("change", () => filterBy(input.value)));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      spark(entry.target);
      seen.unobserve(entry.target);
    }
  }, { rootMargin: "200px" });
  for (const row of list.tBodies[0].rows) seen.observe(row);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawCharts, 120); });
  const wanted = decodeURIComponent(location.hash).replace(/^#cell-/, "");
  open(Object.hasOwn(facts.cells, wanted) ? wanted : list.tBodies[0].rows[0].dataset.cell, "");
})();
