// What pages need beside htmx: selects that submit, a question before what cannot be taken back, keys.
(function () {
  "use strict";
  // A table that is wider than a phone scrolls, and the keyboard must reach it.
  function reachable() {
    for (const table of document.querySelectorAll("table")) {
      if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
      else table.removeAttribute("tabindex");
    }
  }
  reachable();
  addEventListener("resize", reachable);
  document.addEventListener("htmx:afterSettle", reachable);
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const button = document.querySelector(`form[data-keys] [data-key="${CSS.escape(event.key)}"]`);
    if (button) button.click();
  });
})();
