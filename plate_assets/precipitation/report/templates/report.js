(() => {
  const { arrow, asked, byId, dataOf, drawn, element, markHere, presses, remember, rove, whenSeen } = page;
  const facts = dataOf("facts");
  const panel = byId("panel");
  const figures = (value) => page.figures(value, 4);
  const picturesOf = (well) => dataOf("pictures-" + well) || {};
  const marksOf = (map) => map.querySelectorAll(".well[data-well]");
  let opener = null;

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
    byId("panel-title").textContent = "Well " + well;
    const role = of.role === "sample" ? "" : " · " + of.role.replaceAll("_", " ");
    byId("panel-words").textContent = (of.condition || "no condition named") + role;
    showPicture(well);
    showFacts(well, group);
    showGroup(well, group);
    setHeat();
    markHere(document.querySelectorAll('.well[data-well="' + well + '"], #group .thumb[data-well="' + well + '"]'));
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("open");
    byId("panel-title").focus({ preventScroll: true });
    remember(well);
  }

  function close() {
    if (panel.hidden) return;
    panel.hidden = true;
    document.body.classList.remove("open");
    markHere([]);
    remember("");
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
      if (next) { rove(marksOf(map), next); next.focus(); return; }
    }
  }

  function picturesInWells(on) {
    const map = document.querySelector(".plate-score");
    map.querySelectorAll("image").forEach((image) => image.remove());
    if (!on) return;
    marksOf(map).forEach((mark) => {
      const found = picturesOf(mark.dataset.well);
      const face = mark.querySelector(".face");
      for (const kind of ["picture", "heat"]) {
        if (!found[kind]) continue;
        const image = drawn(null, "image", { href: found[kind], preserveAspectRatio: kind === "heat" ? "none" : "xMidYMid slice" });
        for (const name of ["x", "y", "width", "height"]) image.setAttribute(name, face.getAttribute(name));
        mark.insertBefore(image, face.nextSibling ? mark.querySelector("text.inside") : null);
      }
    });
  }

  document.addEventListener("click", (event) => {
    const at = event.target instanceof Element ? event.target : null;
    if (!at) return;
    const group = at.closest("[data-group-link]");
    if (group) { open((facts.groups[group.dataset.groupLink] || { wells: [] }).wells[0], group); return; }
    const well = at.closest("[data-well]");
    if (well) {
      const map = well.closest(".plate-map");
      if (map) rove(marksOf(map), well);
      open(well.dataset.well, well);
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); return; }
    const mark = event.target instanceof Element ? event.target.closest(".plate-map .well[data-well]") : null;
    if (!mark) return;
    const way = arrow(event);
    if (way) { event.preventDefault(); moveFocus(mark, ...way); }
    if (presses(event)) { event.preventDefault(); open(mark.dataset.well, mark); }
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
  whenSeen(document.querySelectorAll(".suspects .thumb"), (thumb) => fillStage(thumb.querySelector(".stage"), thumb.dataset.well), "300px");
  const wanted = Object.hasOwn(facts.groups, asked()) && !Object.hasOwn(facts.wells, asked()) ? facts.groups[asked()].wells[0] : asked();
  if (Object.hasOwn(facts.wells, wanted)) open(wanted, null);
})();
