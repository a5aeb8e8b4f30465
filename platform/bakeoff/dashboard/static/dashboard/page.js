// What pages need beside htmx: selects that submit, a question before what cannot be taken back, keys.
(function () {
  "use strict";
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
