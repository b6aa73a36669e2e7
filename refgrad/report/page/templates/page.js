"use strict";
// What the page does beside its table: copying, opening what an address names, the size of drawings. Plain JavaScript, no library.
(() => {
  const $ = (id) => document.getElementById(id);

  // --- copying ---
  const copied = (button, id) => {
    const text = $(id).textContent, label = button.firstChild.nodeValue;
    const done = (ok) => {
      if (!ok) getSelection().selectAllChildren($(id)); // the reader's own Ctrl+C is left
      button.firstChild.nodeValue = ok ? "Copied" : "Selected";
      $("said").textContent = ok ? "Copied to the clipboard" : "Selected; copy it with the keyboard";
      setTimeout(() => { button.firstChild.nodeValue = label; $("said").textContent = ""; }, 1600);
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => done(true), () => done(false));
    else done(false);
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copied(button, button.dataset.copy));
  }

  // --- drawings ---
  const LEAST = 0.05, MOST = 4, READABLE = 0.72, STEP = 1.25;
  function zoomable(view) {
    const pane = view.querySelector(".paper"), svg = pane.querySelector("svg"), bar = view.querySelector(".zoom");
    const [width, height] = ["width", "height"].map((name) => +svg.getAttribute(name));
    let scale = 1;
    const sized = (wanted) => { // what stands in the middle of the pane stays there
      const next = Math.min(MOST, Math.max(LEAST, wanted)), ratio = next / scale;
      const middle = [pane.scrollLeft + pane.clientWidth / 2, pane.scrollTop + pane.clientHeight / 2];
      scale = next;
      svg.setAttribute("width", width * scale);
      svg.setAttribute("height", height * scale);
      pane.scrollLeft = middle[0] * ratio - pane.clientWidth / 2;
      pane.scrollTop = middle[1] * ratio - pane.clientHeight / 2;
    };
    const fitting = () => Math.min(1, pane.clientWidth / width, parseFloat(getComputedStyle(pane).maxHeight) / height || 1);
    const centred = () => { // on the first wrong node, or on the top
      const box = svg.querySelector(".suspect rect") ?? svg.querySelector(".off rect");
      if (!box) return;
      pane.scrollLeft = scale * (+box.getAttribute("x") + box.getAttribute("width") / 2) - pane.clientWidth / 2;
      pane.scrollTop = scale * (+box.getAttribute("y") + box.getAttribute("height") / 2) - pane.clientHeight / 2;
    };
    const act = { in: () => sized(scale * STEP), out: () => sized(scale / STEP), fit: () => sized(fitting()), full: () => { sized(1); centred(); } };
    const begin = () => {
      if (!pane.clientWidth) return false; // inside something closed
      sized(Math.max(READABLE, fitting()));
      centred();
      bar.hidden = false;
      return true;
    };
    bar.addEventListener("click", (event) => act[event.target.dataset.zoom]?.());
    pane.addEventListener("keydown", (event) => {
      const name = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "full" }[event.key];
      if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act[name]();
    });
    if (!begin()) view.closest("details")?.addEventListener("toggle", begin, { once: true });
  }
  document.querySelectorAll(".view").forEach(zoomable);

  // --- addresses ---
  function opened() { // what an address names is opened, however deep it lies
    let named = null;
    try { named = $(decodeURIComponent(location.hash.slice(1))); } catch { /* a stray % names nothing */ }
    if (!named) return;
    for (let e = named; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    named.scrollIntoView();
  }
  addEventListener("hashchange", opened);
  opened();
})();
