// A product's page in miniature: ask, show, tell what was seen and clicked, ask again.
(function () {
  "use strict";
  const list = document.getElementById("slate");
  const about = document.getElementById("about");
  const consent = document.getElementById("consent");
  const { surface, unit, fallback } = list.dataset;
  if (unit) bakeoff.identify(unit);

  function button(text, label, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  function row(slate, item) {
    const made = document.createElement("li");
    const name = item.title || item.item_id;
    const said = { recommendation_id: slate.recommendation_id, item_id: item.item_id };
    const thumbs = document.createElement("span");
    thumbs.className = "inline";
    const thumb = (value) => async () => {
      await bakeoff.feedback({ ...said, kind: "thumb", value });
      thumbs.textContent = value > 0 ? "✓ +1" : "✓ −1";
    };
    thumbs.append(button("+1", "+ " + name, thumb(1)), button("−1", "− " + name, thumb(-1)));
    made.append(
      button(name, "", async () => {
        bakeoff.track("click", said);
        await bakeoff.flush();
        await show();
      }),
      thumbs
    );
    if (item.image_url) {
      const image = document.createElement("img");
      image.alt = "";
      // A picture that this page may not load: its name says enough.
      image.addEventListener("error", () => image.remove());
      image.src = item.image_url;
      made.prepend(image);
    }
    bakeoff.viewed(made, said);
    return made;
  }

  async function show() {
    const slate = await bakeoff.show(surface, { k: 8, timeout: 2000 }, () => {
      const made = document.createElement("li");
      made.textContent = fallback;
      list.replaceChildren(made);
      about.textContent = "";
    });
    if (!slate) return;
    const parts = [slate.model || "static list"];
    if (slate.variant) parts.push(slate.experiment + ": " + slate.variant);
    if (slate.fallback) parts.push("fallback: " + slate.fallback);
    if (slate.recorded === false) parts.push("not recorded");
    about.textContent = parts.join(" · ");
    list.replaceChildren(...slate.items.map((item) => row(slate, item)));
  }

  consent.addEventListener("change", async () => {
    bakeoff.consent(consent.value);
    await show();
  });
  show();
})();
