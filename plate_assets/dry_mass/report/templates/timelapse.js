(() => {
  const { arrow, asked, byId, chart, dataOf, drawn, element, line, markHere, presses, range, remember, rove, whenSeen } = page;
  const facts = dataOf("facts");
  const list = document.querySelector(".ranked");
  const timelapseRows = [...document.querySelectorAll(".timelapse-row")];
  const figures = (value) => page.figures(value, 3);
  const cellOf = (path) => dataOf("cell-" + path);
  const HOURS = "hours since the time-lapse began";
  const STAR = "M0 -8L2.1 -2.6L7.9 -2.5L3.3 1.1L4.9 6.6L0 3.4L-4.9 6.6L-3.3 1.1L-7.9 -2.5L-2.1 -2.6Z";
  let current = null;

  function shade(place, cell) {
    for (const [from, to] of cell.abnormal) {
      const x = place.x(from), width = place.x(to) - x;
      drawn(place.back, "rect", { class: "shade", x, y: place.top, width, height: place.bottom - place.top });
      drawn(place.back, "path", { class: "shade-edge", d: "M" + x + " " + place.top + "h" + width });
    }
    for (const [from, to] of cell.gaps) {
      const x = place.x(from);
      drawn(place.back, "rect", { class: "gap", x, y: place.top, width: Math.max(2, place.x(to) - x), height: place.bottom - place.top });
    }
  }

  function drawCurve(cell, fact, hours) {
    const place = chart(byId("curve"), {
      height: 270, x: hours, y: range(cell.mass), xLabel: HOURS, yLabel: facts.label, name: "Dry mass of the cell over time",
    });
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
    const place = chart(box, {
      height: 170, x: hours, y: [low, high], log: true, xLabel: HOURS, yLabel: "error", name: "Error of each window with the threshold",
    });
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
    drawn(place.svg, "path", { class: "tau", d: "M" + place.left + " " + tau + "H" + place.right });
    drawn(place.svg, "text", { class: "strong", x: place.left + 5, y: tau - 5 }, "τ = " + figures(facts.threshold));
    return place;
  }

  function drawForecast(worst) {
    byId("worst").hidden = !worst;
    if (!worst) return;
    const step = facts.window_h / worst.mass.length, ahead = worst.start_h + facts.input_h;
    const x = [worst.start_h, worst.start_h + facts.window_h];
    const every = worst.mass.concat(worst.target, worst.forecast, worst.persistence, worst.linear);
    const place = chart(byId("forecast-plot"), {
      height: 240, x, y: range(every), xLabel: HOURS + "; shaded: the 10 h that are forecast", yLabel: facts.label,
      name: "Forecast of the worst window against what was measured",
    });
    drawn(place.back, "rect", { class: "ahead", x: place.x(ahead), y: place.top, width: place.x(x[1]) - place.x(ahead), height: place.bottom - place.top });
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
      const hour = place.value((event.clientX - box.left) * place.width / box.width);
      const at = Math.round((hour - cell.start_h) / cell.step_h);
      if (at < 0 || at >= cell.mass.length) { leave(); return; }
      const time = cell.start_h + at * cell.step_h;
      const error = cell.error[Math.round((time - facts.input_h - cell.start_h) / cell.step_h)];
      lines.forEach((mark, i) => mark.setAttribute("d", "M" + places[i].x(time) + " " + place.top + "V" + places[i].bottom));
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
    const found = dataOf("strip-" + path);
    byId("strip").hidden = !found;
    if (!found) return;
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
    const parts = ["margin " + fact.margin.toFixed(2) + ": " + fact.decided_by,
      "score " + fact.score.toFixed(2) + " (threshold " + figures(fact.threshold) + ")", fact.n_abnormal + " of " + fact.n_windows + " windows abnormal"];
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
    cause.className = "pill " + (fact.abnormal ? (fact.cause === "biology" ? "biological" : "acquisition") : "");
    byId("detail-rank").textContent = "rank " + fact.rank;
    byId("detail-words").textContent = words(path, fact);
    byId("detail-evidence").replaceChildren(...fact.evidence.map((text) => element("li", "", text)));
    byId("said").textContent = fact.verdict ? "Said: " + fact.verdict + "." : "Nobody has said yet what this cell is. Run:";
    drawStrip(path);
    drawCharts();
    command();
    markHere(document.querySelectorAll('tr[data-cell="' + path + '"], .timelapse-row[data-cell="' + path + '"]'));
    byId("before").disabled = !neighbour(-1);
    byId("after").disabled = !neighbour(1);
    remember("cell-" + path);
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
      if (matchMedia("(max-width: 1300px)").matches) byId("detail").scrollIntoView();
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

  function filterBy(cause) {
    for (const row of list.tBodies[0].rows) row.hidden = Boolean(cause) && row.dataset.cause !== cause;
    if (current === null) return;
    byId("before").disabled = !neighbour(-1);
    byId("after").disabled = !neighbour(1);
  }

  function spark(row) {
    const cell = cellOf(row.dataset.cell), every = Math.max(1, Math.floor(cell.mass.length / 60));
    const [low, high] = range(cell.mass);
    const svg = drawn(null, "svg", { viewBox: "0 0 92 26" });
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
    const mark = at.closest("[data-cell]");
    if (!mark) return;
    const ofRow = mark.classList.contains("timelapse-row");
    if (ofRow) rove(timelapseRows, mark);
    open(mark.dataset.cell, ofRow ? "timelapse" : "list");
  });

  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element ? event.target : null;
    const way = arrow(event) ? arrow(event)[0] : 0;
    const mark = at && at.closest(".timelapse-row");
    if (mark) {
      const next = way ? timelapseRows[timelapseRows.indexOf(mark) + way] : null;
      if (next) { event.preventDefault(); rove(timelapseRows, next); next.focus(); }
      if (presses(event)) { event.preventDefault(); open(mark.dataset.cell, "timelapse"); }
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

  if (timelapseRows.length) rove(timelapseRows, timelapseRows[0]);
  if (!list) return;
  byId("before").addEventListener("click", () => walk(-1));
  byId("after").addEventListener("click", () => walk(1));
  byId("verdict").addEventListener("change", command);
  byId("biology").addEventListener("change", command);
  byId("author").addEventListener("input", command);
  byId("copy").addEventListener("click", copy);
  document.querySelectorAll('.filter input').forEach((input) => input.addEventListener("change", () => filterBy(input.value)));
  whenSeen(list.tBodies[0].rows, spark, "200px");
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawCharts, 120); });
  const wanted = asked().replace(/^cell-/, "");
  open(Object.hasOwn(facts.cells, wanted) ? wanted : list.tBodies[0].rows[0].dataset.cell, "");
})();
