"use strict";
// The table of results: decode the rows, filter them by the query in the address, sort, show. Plain JavaScript, no library.
(() => {
  const $ = (id) => document.getElementById(id);
  const PAGE = 100;
  const SYMBOLS = { agree: "✓", disagree: "✗", error: "⚠", imprecise: "≈", known: "≠", undecided: "?", unsupported: "–" };
  const COLUMNS = [["status"], ["op"], ["family"], ["dtype"], ["device"], ["mode"], ["results", 1], ["elements", 1],
    ["ratio", 1, "error / bound"], ["ulp", 1, "ULP"], ["id"], ["text", 0, "message"]];
  const NUMERIC = new Set(COLUMNS.filter((c) => c[1]).map((c) => c[0]));
  const WORDS = new Set(["status", "op", "family", "dtype", "device", "mode"]);
  let rows = [], columns = COLUMNS, matching = [], shown = 0, sorting = ["", 1];

  // --- the query ---
  const size = (v) => (v === null ? NaN : v === "nan" || v === "inf" ? Infinity : v === "-inf" ? -Infinity : +v);
  const COMPARE = { ">": (a, b) => a > b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, "": (a, b) => a === b };

  function test(token) { // one term of the query as a function of a row, or the text of a complaint
    const [, minus, key, quoted, plain] = token.match(/^(-?)(?:(\w+):)?(?:"([^"]*)"?|(.*))$/s);
    const value = (quoted ?? plain).toLowerCase();
    let holds;
    if (!key) holds = (r) => (r.op + " " + r.id + " " + r.text).toLowerCase().includes(value);
    else if (NUMERIC.has(key)) {
      const [, sign, number] = value.match(/^([<>]=?)?(.*)$/s);
      if (number === "" || Number.isNaN(size(number))) return `“${token}” needs a number`;
      holds = (r) => COMPARE[sign ?? ""](size(r[key]), size(number));
    } else if (WORDS.has(key)) {
      const any = quoted === undefined ? value.split(",") : [value];
      holds = (r) => any.some((v) => r[key].toLowerCase() === v);
    } else if (key === "id") holds = (r) => r.id.startsWith(value);
    else return `“${key}:” is not a key`;
    return minus ? (r) => !holds(r) : holds;
  }

  function filter(query) {
    const tests = (query.match(/-?(?:\w+:)?"[^"]*"?|\S+/g) ?? []).map(test);
    const complaint = tests.find((t) => typeof t === "string");
    const good = tests.filter((t) => typeof t === "function");
    matching = rows.filter((r) => good.every((t) => t(r)));
    const [key, direction] = sorting;
    if (key) {
      const before = NUMERIC.has(key)
        ? (a, b) => (Number.isNaN(size(a[key])) - Number.isNaN(size(b[key]))) || direction * (size(a[key]) - size(b[key]) || 0)
        : (a, b) => direction * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0);
      matching = [...matching].sort(before);
    }
    const results = matching.reduce((n, r) => n + r.results, 0).toLocaleString("en");
    $("found").textContent = `${results} results` + (matching.length ? "" : ": nothing matches") + (complaint ? `. ${complaint}` : "");
    $("query").setAttribute("aria-invalid", complaint ? "true" : "false");
    shown = 0;
    document.querySelector(".rows tbody").replaceChildren();
    more();
  }

  // --- showing ---
  const figures = (v) => (Number.isInteger(v) && v < 1e9 ? v.toLocaleString("en") : v >= 1e4 || v < 1e-3
    ? v.toExponential().replace("e+", "e") : String(v));

  function more() {
    const body = document.querySelector(".rows tbody");
    for (const r of matching.slice(shown, shown + PAGE)) {
      const line = body.insertRow();
      for (const [key, numeric] of columns) {
        const cell = line.insertCell(), v = r[key];
        const text = key === "status" ? `${SYMBOLS[v]} ${v}` : v === null ? "–" : typeof v === "number" ? figures(v) : v;
        const shown = key === "id" ? $("case-" + (`${v} ${r.mode}`.match(/\w+/g) ?? []).join("-")) : null;
        if (shown) { // the case stands in full above
          const link = cell.appendChild(document.createElement("a"));
          link.href = "#" + shown.id;
          link.textContent = text;
        } else cell.textContent = text;
        if (key === "text") cell.title = v;
        cell.className = numeric ? "n" : key === "status" ? "st " + v : key;
      }
    }
    shown = Math.min(matching.length, shown + PAGE);
    $("more").hidden = shown >= matching.length;
    $("more").textContent = `Show more (${(matching.length - shown).toLocaleString("en")} rows left)`;
  }

  function heads() {
    const line = document.querySelector(".rows thead tr");
    line.replaceChildren(...columns.map(([key, numeric, label]) => {
      const th = document.createElement("th"), button = document.createElement("button");
      th.scope = "col";
      if (numeric) th.className = "n";
      button.type = "button";
      button.textContent = label ?? key;
      button.addEventListener("click", () => {
        sorting = [key, sorting[0] === key ? -sorting[1] : numeric ? -1 : 1];
        line.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", sorting[1] > 0 ? "ascending" : "descending");
        filter($("query").value);
      });
      th.append(button);
      return th;
    }));
  }

  function fromAddress(jump) {
    if (!location.hash.startsWith("#q=")) return;
    let query = location.hash.slice(3);
    try { query = decodeURIComponent(query); } catch { /* a stray % is taken as it stands */ }
    if (query !== $("query").value || jump) {
      $("query").value = query;
      filter(query);
    }
    if (jump) {
      $("results").scrollIntoView();
      $("query").focus({ preventScroll: true });
    }
  }

  async function start() {
    const packed = Uint8Array.from(atob($("rows").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const data = await new Response(stream).json();
    rows = data.id.map((id, i) => {
      const row = { id };
      for (const key in data.words) row[key] = data.words[key][data.index[key][i]];
      for (const key of NUMERIC) row[key] = data[key][i];
      return row;
    });
    // a column that says the same in every row only takes room
    const told = { device: data.words.device.length > 1, results: data.results.some((n) => n > 1) };
    columns = COLUMNS.filter(([key]) => told[key] ?? true);
    $("table").hidden = false;
    heads();
    let waiting;
    $("query").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        const query = $("query").value;
        history.replaceState(null, "", query ? "#q=" + encodeURIComponent(query).replaceAll("%3A", ":") : "#results");
        filter(query);
      }, 120);
    });
    $("more").addEventListener("click", more);
    addEventListener("hashchange", () => fromAddress(true));
    if (location.hash.startsWith("#q=")) fromAddress(true);
    else filter("");
  }
  start().catch((error) => {
    $("table").hidden = false;
    $("found").textContent = `The table could not be unpacked by this browser (${error}); its rows are in results.jsonl.gz.`;
  });
})();
