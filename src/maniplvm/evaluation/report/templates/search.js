"use strict";
// The search over all samples. The page is complete without it; it only ever sets text.
(() => {
  const byId = (id) => document.getElementById(id);
  const panel = byId("search"), body = byId("sample-rows"), told = byId("search-told");
  const box = byId("search-text"), more = byId("search-more"), less = byId("search-less");
  const choice = (name) => byId("search-" + name).value;
  let data = null, hay = null, found = [], start = 0;

  const SPLIT = 1, TASK = 2, CATEGORY = 3, INSTRUCTION = 4, DRAW = 5, CARD = 6, FIRST = 7;
  const word = (index) => (index < 0 ? "" : data.words[index]);
  const reply = (row, who) => row.slice(FIRST + 3 * who, FIRST + 3 * who + 3);
  const phrase = (status) => (Object.hasOwn(data.phrases, status) ? data.phrases[status] : status);

  function load() {
    if (data) return;
    data = JSON.parse(byId("samples-data").textContent);
    const low = data.words.map((text) => text.toLowerCase());
    const at = (index) => (index < 0 ? "" : low[index]);
    hay = data.rows.map((row) => {
      const parts = [row[0].toLowerCase(), at(row[SPLIT]), at(row[TASK]), at(row[CATEGORY]), at(row[INSTRUCTION])];
      for (let who = 0; who < data.names.length; who++) {
        const [status, , words] = reply(row, who);
        if (status >= 0) parts.push(at(status), phrase(word(status)), at(words));
      }
      return parts.join("\n");
    });
  }

  function goodness(row, who) {
    const value = row[FIRST + 3 * who + 1], measure = data.measures[word(row[TASK])];
    if (value === null) return null;
    return measure.sign > 0 ? value : 1 - value;
  }

  function rank(order) {
    if (order === "worst" || order === "best") {
      const sign = order === "best" ? -1 : 1;
      return (index) => sign * goodness(data.rows[index], data.own);
    }
    const sign = order === "gain" ? -1 : 1;
    return (index) => {
      const other = goodness(data.rows[index], data.other);
      return other === null ? Infinity : sign * (goodness(data.rows[index], data.own) - other);
    };
  }

  function search() {
    load();
    const terms = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const split = choice("split"), task = choice("task"), status = choice("status"), order = choice("order");
    found = [];
    data.rows.forEach((row, index) => {
      if (split && word(row[SPLIT]) !== split) return;
      if (task && word(row[TASK]) !== task) return;
      if (status && word(reply(row, data.own)[0]) !== status) return;
      if (terms.every((term) => hay[index].includes(term))) found.push(index);
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
    const row = data.rows[index], measure = data.measures[word(row[TASK])];
    const made = byId("sample-row").content.cloneNode(true);
    const slot = (name) => made.querySelector(`[data-slot="${name}"]`);
    const about = [word(row[SPLIT]), word(row[CATEGORY]), row[DRAW] ? `draw ${row[DRAW] + 1}` : ""];
    fill(slot("instruction"), word(row[INSTRUCTION]), terms);
    fill(slot("about"), about.filter(Boolean).join(" · "), terms);
    fill(slot("id"), row[0], terms);
    if (row[CARD]) slot("card").href = "#" + row[CARD];
    else slot("card").remove();
    data.names.forEach((name, who) => {
      const [status, value, words] = reply(row, who);
      if (status < 0) return;
      const number = (measure.share ? 100 * value : value).toFixed(measure.digits).replace("-", "−");
      slot("score-" + who).textContent = `${measure.name} ${number}${measure.share ? " %" : ""}`;
      fill(slot("status-" + who), word(status) === "ok" ? "" : phrase(word(status)), terms);
      fill(slot("words-" + who), word(words), terms);
    });
    return made;
  }

  function show(terms) {
    const shown = found.slice(start, start + data.page), total = found.length;
    body.replaceChildren(...shown.map((index) => draw(index, terms)));
    const range = total ? `${(start + 1).toLocaleString("en")} to ${(start + shown.length).toLocaleString("en")} of ` : "";
    told.textContent = `${range}${total.toLocaleString("en")} that match, of ${data.rows.length.toLocaleString("en")} samples`;
    less.disabled = start === 0;
    more.disabled = start + data.page >= total;
  }

  function turn(by) {
    if (!data) search();
    start = Math.max(0, start + by * data.page);
    show(box.value.toLowerCase().split(/\s+/).filter(Boolean));
    panel.scrollIntoView({ block: "start" });
  }

  function reveal(hash) {
    const card = hash.startsWith("#card-") && byId(hash.slice(1));
    const pane = card && card.closest(".pane");
    if (!pane) return;
    pane.previousElementSibling.control.checked = true;
    card.scrollIntoView({ block: "center" });
  }

  function follow() {
    const text = /^#find=(.*)$/.exec(location.hash);
    if (!text) return reveal(location.hash);
    try { box.value = decodeURIComponent(text[1]); } catch { box.value = text[1]; }
    search();
    panel.scrollIntoView({ block: "start" });
  }

  let waiting = 0;
  box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 80); });
  for (const name of ["split", "task", "status", "order"]) byId("search-" + name).addEventListener("change", search);
  less.addEventListener("click", () => turn(-1));
  more.addEventListener("click", () => turn(1));
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#card-"]');
    if (link) setTimeout(() => reveal(link.getAttribute("href")));
  });
  panel.hidden = false;
  follow();
})();
