"use strict";
// Search over all samples. The script only sets text, never HTML.
(() => {
  const byId = (id) => document.getElementById(id);
  const panel = byId("search"), body = byId("sample-rows"), statusText = byId("search-status-text");
  const box = byId("search-text"), next = byId("search-next"), previous = byId("search-previous");
  const selected = (name) => byId("search-" + name).value;
  let data = null, searchTexts = null, found = [], start = 0;

  const SPLIT = 1, TASK = 2, CATEGORY = 3, INSTRUCTION = 4, DRAW = 5, CARD = 6, FIRST = 7;
  const string = (index) => (index < 0 ? "" : data.strings[index]);
  const answer = (row, model) => row.slice(FIRST + 3 * model, FIRST + 3 * model + 3);
  const describe = (status) => (Object.hasOwn(data.descriptions, status) ? data.descriptions[status] : status);

  function load() {
    if (data) return;
    data = JSON.parse(byId("samples-data").textContent);
    const low = data.strings.map((text) => text.toLowerCase());
    const at = (index) => (index < 0 ? "" : low[index]);
    searchTexts = data.rows.map((row) => {
      const parts = [row[0].toLowerCase(), at(row[SPLIT]), at(row[TASK]), at(row[CATEGORY]), at(row[INSTRUCTION])];
      for (let model = 0; model < data.names.length; model++) {
        const [status, , text] = answer(row, model);
        if (status >= 0) parts.push(at(status), describe(string(status)), at(text));
      }
      return parts.join("\n");
    });
  }

  function quality(row, model) {
    const value = row[FIRST + 3 * model + 1], measure = data.measures[string(row[TASK])];
    if (value === null) return null;
    return measure.sign > 0 ? value : 1 - value;
  }

  function rank(order) {
    if (order === "worst" || order === "best") {
      const sign = order === "best" ? -1 : 1;
      return (index) => sign * quality(data.rows[index], data.own);
    }
    const sign = order === "gain" ? -1 : 1;
    return (index) => {
      const other = quality(data.rows[index], data.other);
      return other === null ? Infinity : sign * (quality(data.rows[index], data.own) - other);
    };
  }

  function search() {
    load();
    const terms = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const split = selected("split"), task = selected("task"), status = selected("status"), order = selected("order");
    found = [];
    data.rows.forEach((row, index) => {
      if (split && string(row[SPLIT]) !== split) return;
      if (task && string(row[TASK]) !== task) return;
      if (status && string(answer(row, data.own)[0]) !== status) return;
      if (terms.every((term) => searchTexts[index].includes(term))) found.push(index);
    });
    if (order) {
      const key = rank(order), keys = new Map(found.map((index) => [index, key(index)]));
      found.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
    }
    start = 0;
    show(terms);
  }

  function fill(place, text, terms) {
    place.textContent = "";
    const low = text.toLowerCase();
    let from = 0;
    while (terms.length && low.length === text.length) {
      const hits = terms.map((term) => [low.indexOf(term, from), term.length]).filter(([at]) => at >= 0);
      if (!hits.length) break;
      const [at, length] = hits.reduce((a, b) => (b[0] < a[0] || (b[0] === a[0] && b[1] > a[1]) ? b : a));
      const mark = document.createElement("mark");
      mark.textContent = text.slice(at, at + length);
      place.append(text.slice(from, at), mark);
      from = at + length;
    }
    place.append(text.slice(from));
  }

  function draw(index, terms) {
    const row = data.rows[index], measure = data.measures[string(row[TASK])];
    const fragment = byId("sample-row").content.cloneNode(true);
    const slot = (name) => fragment.querySelector(`[data-slot="${name}"]`);
    const about = [string(row[SPLIT]), string(row[CATEGORY]), row[DRAW] ? `completion ${row[DRAW] + 1}` : ""];
    fill(slot("instruction"), string(row[INSTRUCTION]), terms);
    fill(slot("about"), about.filter(Boolean).join(" · "), terms);
    fill(slot("id"), row[0], terms);
    if (row[CARD]) slot("card").href = "#" + row[CARD];
    else slot("card").remove();
    data.names.forEach((name, model) => {
      const [status, value, text] = answer(row, model);
      if (status < 0) return;
      const number = (measure.percent ? 100 * value : value).toFixed(measure.digits).replace("-", "−");
      slot("score-" + model).textContent = `${measure.name} ${number}${measure.percent ? " %" : ""}`;
      fill(slot("status-" + model), string(status) === "ok" ? "" : describe(string(status)), terms);
      fill(slot("text-" + model), string(text), terms);
    });
    return fragment;
  }

  function show(terms) {
    const shown = found.slice(start, start + data.page), total = found.length;
    body.replaceChildren(...shown.map((index) => draw(index, terms)));
    const range = total ? `${(start + 1).toLocaleString("en")} to ${(start + shown.length).toLocaleString("en")} of ` : "";
    statusText.textContent = `${range}${total.toLocaleString("en")} that match, of ${data.rows.length.toLocaleString("en")} samples`;
    previous.disabled = start === 0;
    next.disabled = start + data.page >= total;
  }

  function turn(by) {
    if (!data) search();
    start = Math.max(0, start + by * data.page);
    show(box.value.toLowerCase().split(/\s+/).filter(Boolean));
    panel.scrollIntoView({ block: "start" });
  }

  function reveal(hash) {
    const card = hash.startsWith("#card-") && byId(hash.slice(1));
    const tab = card && card.closest(".tab-panel");
    if (!tab) return;
    tab.previousElementSibling.control.checked = true;
    card.scrollIntoView({ block: "center" });
  }

  function follow() {
    const text = /^#find=(.*)$/.exec(location.hash);
    if (!text) return reveal(location.hash);
    try { box.value = decodeURIComponent(text[1]); } catch { box.value = text[1]; }
    search();
    panel.scrollIntoView({ block: "start" });
  }

  let timer = 0;
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 80); });
  for (const name of ["split", "task", "status", "order"]) byId("search-" + name).addEventListener("change", search);
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#card-"]');
    if (link) setTimeout(() => reveal(link.getAttribute("href")));
  });
  panel.hidden = false;
  follow();
})();
