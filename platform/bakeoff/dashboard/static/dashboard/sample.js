// A product's page in miniature: ask for a slate, show it, report a click, ask again.
(function () {
  "use strict";
  const list = document.getElementById("slate");
  const about = document.getElementById("about");
  const { surface, unit } = list.dataset;

  function show(slate) {
    const parts = [slate.model || "static list"];
    if (slate.variant) parts.push(slate.experiment + ": " + slate.variant);
    if (slate.fallback) parts.push("fallback: " + slate.fallback);
    about.textContent = parts.join(" · ");
    list.replaceChildren(
      ...slate.items.map((item) => {
        const row = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = item.title || item.item_id;
        button.addEventListener("click", () => click(slate, item));
        row.append(button);
        return row;
      })
    );
  }

  async function click(slate, item) {
    try {
      await bakeoff.track("click", {
        unit_id: unit,
        item_id: item.item_id,
        recommendation_id: slate.recommendation_id,
      });
      await ask();
    } catch (error) {
      about.textContent = error.message;
    }
  }

  async function ask() {
    try {
      show(await bakeoff.recommend(surface, { unit_id: unit, k: 10 }));
    } catch (error) {
      about.textContent = error.message;
    }
  }

  ask();
})();
