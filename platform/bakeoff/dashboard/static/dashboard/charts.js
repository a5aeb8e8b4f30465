// What a mark of a chart says, by pointer, touch and keyboard: a chart takes the focus once, arrows walk its marks.
(function () {
  "use strict";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  let on = null;
  function show(mark) {
    if (on) on.classList.remove("on");
    on = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("on");
    tip.textContent = mark.dataset.tip;
    const at = mark.getBoundingClientRect();
    const left = at.left + at.width / 2 - tip.offsetWidth / 2;
    tip.style.left = Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(8, at.top - tip.offsetHeight - 8) + "px";
  }
  // Without script the browser shows a mark's title by pointer alone.
  function prepare() {
    for (const title of document.querySelectorAll("svg[role=img] title")) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();
    }
    for (const chart of document.querySelectorAll("svg[role=img]")) {
      if (chart.querySelector("[data-tip]")) chart.tabIndex = 0;
    }
  }
  function walk(event) {
    const chart = event.target.closest("svg[role=img]");
    if (!chart) return;
    const marks = [...chart.querySelectorAll("[data-tip]")], last = marks.length - 1;
    const at = marks.indexOf(on);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") show(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    show(marks[Math.max(0, Math.min(last, to))]);
  }
  addEventListener("DOMContentLoaded", () => {
    document.body.append(tip);
    prepare();
  });
  document.addEventListener("htmx:afterSettle", prepare);
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("[data-tip]");
    if (mark || on) show(mark);
  });
  document.addEventListener("focusin", (event) => {
    const marks = event.target.closest("svg[role=img]")?.querySelectorAll("[data-tip]");
    show(marks?.length ? marks[marks.length - 1] : null);
  });
  document.addEventListener("keydown", walk);
})();
