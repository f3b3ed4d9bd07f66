"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const facts = JSON.parse(byId("facts").textContent);
  const panel = byId("panel");
  const cache = new Map();
  let current = null;
  let opener = null;

  function picturesOf(well) {
    if (!cache.has(well)) {
      const block = byId("pictures-" + well);
      cache.set(well, block ? JSON.parse(block.textContent) : {});
    }
    return cache.get(well);
  }

  function figures(value) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function heatShare() {
    return byId("heat-on").checked ? byId("heat-opacity").value / 100 : 0;
  }

  function fillStage(stage, well) {
    if (stage.dataset.filled === well) return;
    stage.dataset.filled = well;
    stage.replaceChildren();
    const found = picturesOf(well);
    if (found.picture) {
      const picture = element("img");
      picture.src = found.picture;
      picture.alt = "Picture of well " + well;
      stage.append(picture);
    }
    if (found.heat) {
      const heat = element("img", "heat");
      heat.src = found.heat;
      heat.alt = "";
      heat.style.opacity = heatShare();
      stage.append(heat);
    }
  }

  function thumbnail(well) {
    const button = element("button", "thumb");
    button.type = "button";
    button.dataset.well = well;
    button.setAttribute("aria-label", "Open well " + well);
    const stage = element("span", "stage");
    fillStage(stage, well);
    button.append(stage, element("span", "tag", well));
    return button;
  }

  function callWords(group) {
    if (group.call === true) return "called precipitated";
    if (group.call === false) return "clear";
    return "not called";
  }

  function fact(list, name, value, full) {
    const row = element("div", full ? "full" : "");
    row.append(element("dt", "", name), element("dd", "", figures(value)));
    list.append(row);
  }

  function showPicture(well) {
    const found = picturesOf(well);
    byId("panel-stage").hidden = !found.picture;
    byId("panel-no-picture").hidden = Boolean(found.picture);
    const picture = byId("panel-picture");
    picture.src = found.detail || found.picture || "data:,";
    picture.alt = "Picture of well " + well;
    const heat = byId("panel-heat");
    heat.hidden = !found.heat;
    heat.src = found.heat || "data:,";
    heat.alt = found.heat ? "Heat-map of well " + well : "";
  }

  function showFacts(well, group) {
    const of = facts.wells[well];
    const list = byId("panel-facts");
    list.replaceChildren();
    fact(list, "Well score, a.u.", of.score);
    fact(list, "Largest tile score, a.u.", of.tile_max);
    fact(list, "Confluence, share", of.confluence);
    fact(list, "Cell density, cells/mm²", of.cell_density_mm2);
    fact(list, "Trivial baseline (local SD), share", of.local_std);
    fact(list, "Sites, tiles", of.n_sites + ", " + of.n_tiles);
    fact(list, "Quadruplet " + of.group, callWords(group));
    fact(list, "Quadruplet score, a.u.", group.score);
    fact(list, "Anomaly score (threshold)", figures(group.anomaly_score) + " (" + figures(group.threshold) + ")");
    fact(list, "Normalised score, SD", group.normalised_score);
    fact(list, "In the model's domain", of.in_domain ? "yes" : "no");
    fact(list, "Excluded", of.excluded ? "yes" : "no");
    fact(list, "Flags of the well", of.reasons || "none", true);
    if (group.reasons) fact(list, "Remarks on the call", group.reasons, true);
  }

  function showGroup(well, group) {
    const row = byId("group");
    row.replaceChildren();
    byId("group-title").textContent = "Quadruplet " + facts.wells[well].group + ": " + callWords(group);
    for (const name of group.wells) {
      const figure = element("figure");
      const thumb = thumbnail(name);
      thumb.classList.toggle("here", name === well);
      thumb.classList.toggle("off", facts.wells[name].excluded);
      figure.append(thumb, element("figcaption", "", figures(facts.wells[name].score)));
      row.append(figure);
    }
  }

  function open(well, from) {
    if (!facts.wells[well]) return;
    const of = facts.wells[well];
    const group = facts.groups[of.group] || { wells: [well] };
    if (from && !panel.contains(from)) opener = from;
    current = well;
    byId("panel-title").textContent = "Well " + well;
    const role = of.role === "sample" ? "" : " · " + of.role.replaceAll("_", " ");
    byId("panel-words").textContent = (of.condition || "no condition named") + role;
    showPicture(well);
    showFacts(well, group);
    showGroup(well, group);
    setHeat();
    document.querySelectorAll(".well.here").forEach((mark) => mark.classList.remove("here"));
    document.querySelectorAll('.well[data-well="' + well + '"]').forEach((mark) => mark.classList.add("here"));
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("open");
    byId("panel-title").focus({ preventScroll: true });
    history.replaceState(null, "", "#" + well);
  }

  function close() {
    if (panel.hidden) return;
    panel.hidden = true;
    document.body.classList.remove("open");
    document.querySelectorAll(".well.here").forEach((mark) => mark.classList.remove("here"));
    history.replaceState(null, "", "#");
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
  }

  function setHeat() {
    const share = heatShare();
    document.querySelectorAll("img.heat").forEach((heat) => { heat.style.opacity = share; });
  }

  function moveFocus(mark, down, right) {
    const map = mark.closest("svg");
    let row = Number(mark.dataset.row), col = Number(mark.dataset.col);
    for (let step = 0; step < 48; step += 1) {
      row += down; col += right;
      const next = map.querySelector('.well[data-row="' + row + '"][data-col="' + col + '"]');
      if (next) { rove(map, next); next.focus(); return; }
    }
  }

  function rove(map, mark) {
    map.querySelectorAll('.well[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", "-1"));
    mark.setAttribute("tabindex", "0");
  }

  function sortTable(table, index, kind, descending) {
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row, at) => ({ row, at, key: row.cells[index].dataset.value }));
    const compare = kind === "number" ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
    keyed.sort((a, b) => {
      if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1;
      return (descending ? compare(b.key, a.key) : compare(a.key, b.key)) || a.at - b.at;
    });
    body.append(...keyed.map((item) => item.row));
  }

  function sortBy(head) {
    const table = head.closest("table");
    const first = head.dataset.kind === "number" ? "descending" : "ascending";
    const other = first === "descending" ? "ascending" : "descending";
    const next = head.getAttribute("aria-sort") === first ? other : first;
    table.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    sortTable(table, head.cellIndex, head.dataset.kind, next === "descending");
  }

  function picturesInWells(on) {
    const map = document.querySelector(".plate-score");
    map.querySelectorAll("image").forEach((image) => image.remove());
    if (!on) return;
    map.querySelectorAll(".well[data-well]").forEach((mark) => {
      const found = picturesOf(mark.dataset.well);
      const face = mark.querySelector(".face");
      for (const kind of ["picture", "heat"]) {
        if (!found[kind]) continue;
        const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
        for (const name of ["x", "y", "width", "height"]) image.setAttribute(name, face.getAttribute(name));
        image.setAttribute("href", found[kind]);
        image.setAttribute("preserveAspectRatio", kind === "heat" ? "none" : "xMidYMid slice");
        mark.insertBefore(image, face.nextSibling ? mark.querySelector("text.inside") : null);
      }
    });
  }

  document.addEventListener("click", (event) => {
    const at = event.target instanceof Element ? event.target : null;
    if (!at) return;
    const head = at.closest("table.sortable th[data-kind]");
    if (head && at.closest("button")) { sortBy(head); return; }
    const group = at.closest("[data-group-link]");
    if (group) { open((facts.groups[group.dataset.groupLink] || { wells: [] }).wells[0], group); return; }
    const well = at.closest("[data-well]");
    if (well) {
      const map = well.closest(".plate-map");
      if (map) rove(map, well);
      open(well.dataset.well, well);
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); return; }
    const mark = event.target instanceof Element ? event.target.closest(".plate-map .well[data-well]") : null;
    if (!mark) return;
    const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (ways[event.key]) { event.preventDefault(); moveFocus(mark, ...ways[event.key]); }
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(mark.dataset.well, mark); }
  });

  byId("panel-close").addEventListener("click", close);
  byId("panel-wide").addEventListener("click", () => {
    const wide = panel.classList.toggle("wide");
    byId("panel-wide").setAttribute("aria-pressed", String(wide));
  });
  byId("heat-on").addEventListener("change", setHeat);
  byId("heat-opacity").addEventListener("input", () => { byId("heat-on").checked = true; setHeat(); });
  byId("as-pictures").addEventListener("change", (event) => picturesInWells(event.target.checked));

  document.querySelectorAll(".plate-map").forEach((map) => {
    const first = map.querySelector(".well.called[data-well]") || map.querySelector(".well[data-well]");
    if (first) first.setAttribute("tabindex", "0");
  });
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      fillStage(entry.target.querySelector(".stage"), entry.target.dataset.well);
      seen.unobserve(entry.target);
    }
  }, { rootMargin: "300px" });
  document.querySelectorAll(".ranked .thumb").forEach((thumb) => seen.observe(thumb));
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (Object.hasOwn(facts.wells, wanted)) open(wanted, null);
})();
