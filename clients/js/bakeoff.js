// The embed: <script src="/sdk/v1.js" data-key="pk_…"></script>, then
//   const slate = await bakeoff.recommend("home-feed", { unit_id: "u42", k: 10 });
//   bakeoff.track("click", { item_id: "i1", recommendation_id: slate.recommendation_id });
// The browser keeps an anonymous id and sends it beside your unit_id, so that a visitor's variant stays
// the same when they log in. An event is sent with an id of its own and tried again until it is
// acknowledged, so that it counts once; a clock that is off is corrected.
(function () {
  "use strict";
  const script = document.currentScript;
  const origin = new URL(script.src).origin;
  const key = script.dataset.key;
  const TRIES = 6;

  function id() {
    return crypto.randomUUID ? crypto.randomUUID() : Date.now() + "-" + Math.random().toString(36).slice(2);
  }

  function anonymous() {
    try {
      let known = localStorage.getItem("bakeoff_id");
      if (!known) localStorage.setItem("bakeoff_id", (known = id()));
      return known;
    } catch (error) {
      return (anonymous.page = anonymous.page || id()); // storage is forbidden: one id a page
    }
  }

  function unit(fields) {
    return Object.assign({ anonymous_id: anonymous() }, fields);
  }

  // A link for trying out: ?bakeoff_force=TOKEN shows its variant on this tab's pages.
  function forced() {
    try {
      const token = new URLSearchParams(location.search).get("bakeoff_force");
      if (token) sessionStorage.setItem("bakeoff_force", token);
      const kept = token || sessionStorage.getItem("bakeoff_force");
      return kept ? { force: kept } : {};
    } catch (error) {
      return {};
    }
  }

  function now() {
    return new Date().toISOString();
  }

  async function post(path, body) {
    const answer = await fetch(origin + path, {
      method: "POST",
      keepalive: true,
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
      body: JSON.stringify(body),
    });
    const data = await answer.json();
    if (answer.ok) return data;
    const error = new Error(data.error.message);
    error.again = answer.status === 429 || answer.status === 503;
    throw error;
  }

  async function insist(path, body) {
    for (let tried = 1; ; tried++) {
      try {
        return await post(path, path === "/v1/events" ? Object.assign({ sent_at: now() }, body) : body);
      } catch (error) {
        // A TypeError is fetch's word for "the network is away".
        if (tried === TRIES || !(error.again || error instanceof TypeError)) throw error;
        await new Promise((go) => setTimeout(go, 2 ** tried * 100 * (1 + Math.random())));
      }
    }
  }

  window.bakeoff = {
    recommend: (surface, options) => post("/v1/recommend", Object.assign({ surface }, forced(), unit(options))),
    compare: (surface, options) => post("/v1/compare", Object.assign({ surface }, unit(options))),
    track: (name, fields) =>
      insist("/v1/events", Object.assign({ event_id: id(), occurred_at: now(), name }, unit(fields))),
    identify: (unit_id) => insist("/v1/identify", { userId: unit_id, anonymousId: anonymous() }),
    feedback: (fields) => insist("/v1/feedback", Object.assign({ feedback_id: id() }, unit(fields))),
  };
})();
