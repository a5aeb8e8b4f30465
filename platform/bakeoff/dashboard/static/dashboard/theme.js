// Before the page is drawn: the theme that a person chose here, else the system's.
(function () {
  "use strict";
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("bakeoff-theme"); } catch { /* storage is off: the system's theme */ }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-toggle-theme]")) {
      button.hidden = false; // of use with script alone
      button.addEventListener("click", () => {
        const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
        root.dataset.theme = dark ? "light" : "dark";
        try { localStorage.setItem("bakeoff-theme", root.dataset.theme); } catch { /* for this page alone */ }
      });
    }
  });
})();
