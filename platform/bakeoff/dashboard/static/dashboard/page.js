// What pages need beside htmx: selects that submit, a question before what cannot be taken back, keys.
(function () {
  "use strict";
  // A table that does not fit a phone becomes cards, one per row, with the column's title at each value.
  const phone = matchMedia("(max-width: 46rem)");
  function label(table) {
    const titles = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])].flatMap((cell) =>
      Array(cell.colSpan).fill(cell.textContent.trim()));
    table.role = "table"; // the display of cards would take its meaning from a screen reader
    for (const part of table.querySelectorAll("thead, tbody, tfoot")) part.role = "rowgroup";
    for (const row of table.rows) {
      row.role = "row";
      let column = 0;
      for (const cell of row.cells) {
        cell.role = cell.tagName === "TD" ? "cell" : row.parentNode === table.tHead ? "columnheader" : "rowheader";
        if (row.parentNode !== table.tHead && cell.colSpan === 1) cell.dataset.label = titles[column] ?? "";
        column += cell.colSpan;
      }
    }
  }
  // Too wide, or so narrow that a cell is a column of single words.
  const squeezed = (cell) => cell.offsetWidth < 112 && cell.offsetHeight > 76 && !cell.querySelector("svg, form");
  const fits = (table) => table.scrollWidth <= table.clientWidth &&
    !(phone.matches && [...table.querySelectorAll("tbody > tr > *")].some(squeezed));
  function fitTables(within = document) {
    const tables = [...within.querySelectorAll("table")];
    for (const table of tables) table.classList.remove("stack");
    // All are measured before any changes: the browser lays the page out once.
    const wide = tables.filter((table) => !fits(table));
    for (const table of tables) table.removeAttribute("tabindex");
    for (const table of wide) {
      if (phone.matches) label(table), table.classList.add("stack");
      else table.tabIndex = 0; // it scrolls, and the keyboard must reach it
    }
  }
  fitTables();
  let width = innerWidth;
  // A phone's bar of addresses comes and goes, which changes the height alone: nothing may jump then.
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; fitTables(); } });
  document.addEventListener("htmx:afterSettle", () => fitTables());
  document.addEventListener("toggle", (event) => fitTables(event.target), true); // what was folded had no width
  // A part that is fetched anew keeps what a person opened in it, where they are, and how far they scrolled.
  const seen = {};
  // A link is known by its address: rows that came before it move no focus to another one.
  const like = (root, node) => [...root.querySelectorAll(node.tagName)]
    .filter((one) => one.name === node.name && one.getAttribute("href") === node.getAttribute("href"));
  const place = (root, node) => ({ node, nth: like(root, node).indexOf(node) });
  // What opens is known by its title: one that came before it opens no other.
  function folds(root) {
    const count = {};
    return [...root.querySelectorAll("details")].map((one) => {
      const title = one.querySelector("summary")?.textContent.replace(/[\d,.]+/g, "").trim(); // some count
      count[title] = (count[title] ?? 0) + 1;
      return [title + count[title], one];
    });
  }
  const find = (root, was) => like(root, was.node)[was.nth];
  // While a page is open the session may end, or the platform go away: that is said, and what is shown stays.
  const lost = document.getElementById("lost");
  const say = (what) => { for (const one of lost.children) one.hidden = one.dataset.why !== what; };
  if (lost) {
    document.addEventListener("htmx:sendError", () => say("away"));
    document.addEventListener("htmx:responseError", (event) => say(event.detail.xhr.status < 500 ? "gone" : "away"));
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const root = event.detail.target, at = document.activeElement;
    if (lost && event.detail.pathInfo.responsePath?.startsWith(lost.dataset.signIn)) {
      event.detail.shouldSwap = false; // the page to sign in would take the place of what a person reads
      return say("session");
    }
    if (lost && event.detail.shouldSwap) say("");
    if (!root.id) return;
    const open = new Map(folds(root).map(([name, one]) => [name, one.open]));
    const scrolled = [...root.querySelectorAll("*")].filter((one) => one.scrollTop || one.scrollLeft)
      .map((one) => ({ ...place(root, one), to: [one.scrollLeft, one.scrollTop] }));
    seen[root.id] = { open, scrolled, focus: at !== root && root.contains(at) ? place(root, at) : null };
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const root = document.getElementById(event.detail.target.id), was = root && seen[root.id];
    if (!was) return;
    delete seen[root.id];
    for (const [name, one] of folds(root)) one.open = was.open.get(name) ?? one.open;
    for (const one of was.scrolled) find(root, one)?.scrollTo(...one.to);
    if (was.focus) find(root, was.focus)?.focus({ preventScroll: true });
  });
  // The fast lane says when something happened; a part of the page that cares asks for itself anew.
  const ticket = document.querySelector('meta[name="live"]');
  if (ticket && window.EventSource && document.querySelector('[hx-trigger*="live-"]')) {
    const source = new EventSource(ticket.dataset.url + "?ticket=" + encodeURIComponent(ticket.content));
    source.onmessage = (event) => window.htmx && htmx.trigger(document.body, "live-" + event.data);
    addEventListener("pagehide", () => source.close());
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });
  // A name suggests a key, until somebody writes a key of their own.
  document.addEventListener("input", (event) => {
    const key = event.target.name === "name" && event.target.form?.elements.key;
    if (!key || key.type !== "text" || key.value !== (key.dataset.suggested ?? "")) return;
    const plain = event.target.value.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "").replace(/ß/g, "ss");
    const words = plain.replace(/[^a-z0-9_]+/g, "-").replace(/^-/, "").slice(0, key.maxLength > 0 ? key.maxLength : 100);
    key.value = key.dataset.suggested = words.replace(/-$/, "");
  });
  // A suggestion is chosen in its field, which tells the planner beside the form.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-choose]");
    const field = button && document.querySelector(`#definition [name="${button.dataset.choose}"]`);
    const choices = !field ? [] : field.options || document.querySelectorAll(`#definition [name="${field.name}"]`);
    const choice = [...choices].find((one) => one.value === button.value);
    if (!choice) return;
    choice[field.options ? "selected" : "checked"] = true;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  // A long list of boxes gets a field that narrows it; what is ticked stays in view.
  for (const group of document.querySelectorAll("fieldset.choices")) {
    const filter = group.querySelector("[data-filter]"), boxes = [...group.querySelectorAll("label")];
    filter.hidden = boxes.length < 10;
    filter.addEventListener("input", () => {
      const words = filter.value.trim().toLowerCase();
      for (const one of boxes) one.hidden = !one.textContent.toLowerCase().includes(words) && !one.querySelector(":checked");
    });
    filter.addEventListener("change", (event) => event.stopPropagation()); // it is no field of the form
    filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const palette = document.getElementById("palette");
    if (palette && (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette.showPopover();
    }
    // Down goes from the words to what they find, and on.
    if (palette && palette.contains(event.target) && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const places = [palette.querySelector("input"), ...palette.querySelectorAll("#hits a")];
      const next = places[places.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) next.focus();
      event.preventDefault();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const button = document.querySelector(`form[data-keys] [data-key="${CSS.escape(event.key)}"]`);
    if (button) button.click();
  });
})();
