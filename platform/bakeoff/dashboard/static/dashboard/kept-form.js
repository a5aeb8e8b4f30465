// A form that was sent after the session ended, after signing in anew in another tab, or while the platform
// was away: what was typed comes back. Only forms marked data-keep, only in this tab, for an hour, and only for the same
// person. Nothing is sent again by itself; passwords, files and the token of the form are never stored.
(function () {
  "use strict";
  const NAME = "bakeoff-kept-form", MAX_AGE = 3600e3, NEVER = new Set(["password", "file", "submit", "button", "image"]);
  const TOKEN = "csrfmiddlewaretoken", ROW = '[name="add-row"], [name="remove-row"]';
  const here = location.pathname + location.search;
  const person = document.getElementById("content")?.dataset.person; // none on pages before sign-in
  const path = (address) => { const url = new URL(address ?? "", location.href); return url.pathname + url.search; };
  // A browser may refuse storage, or have no room: then a form is as forgetful as without this.
  const write = (entry) => {
    try { entry ? sessionStorage.setItem(NAME, JSON.stringify(entry)) : sessionStorage.removeItem(NAME); } catch { /* see above */ }
  };
  const read = () => { try { return JSON.parse(sessionStorage.getItem(NAME)); } catch { return null; } };
  const all = () => [...document.querySelectorAll("form[data-keep]")];
  // Forms are told apart by where they go, then by their number: a comment more or less changes nothing.
  const alike = (action) => all().filter((form) => form.getAttribute("action") === action);
  const fields = (form) => [...form.elements].filter((one) => one.name && one.name !== TOKEN && !NEVER.has(one.type));
  const ticked = (one) => one.type === "checkbox" || one.type === "radio";

  function keep(form, action) {
    const values = fields(form).map((one) => [
      one.name,
      one.type === "select-multiple" ? [...one.selectedOptions].map((option) => option.value) : one.value,
      ticked(one) ? one.checked : null,
    ]);
    const own = form.getAttribute("action");
    write({ page: here, action, own, nth: alike(own).indexOf(form), person, at: Date.now(), values, out: false });
  }

  // Returns what has no field yet.
  function fill(form, values) {
    const missing = [];
    for (const [name, value, checked] of values) {
      const same = fields(form).filter((one) => one.name === name);
      const field = checked === null ? same[0] : same.find((one) => one.value === value);
      if (!field) missing.push([name, value]);
      else if (checked !== null) field.checked = checked;
      else if (Array.isArray(value)) for (const option of field.options) option.selected = value.includes(option.value);
      else field.value = value;
    }
    for (const part of form.querySelectorAll("details")) part.open = true;
    return missing;
  }

  // Rows that the page does not have yet: the server draws them, checks nothing and stores nothing.
  function drawRows(form, missing) {
    for (const [name, value] of missing) {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
      form.append(field);
    }
    const button = Object.assign(document.createElement("button"), { name: "add-row", value: "", formNoValidate: true, hidden: true });
    form.append(button);
    form.requestSubmit(button);
  }

  function show() {
    const note = document.getElementById("kept");
    if (note) note.hidden = false;
  }

  function restore(entry) {
    const form = alike(entry.own)[entry.nth];
    if (!form) return write(null);
    const missing = fill(form, entry.values);
    const names = new Set(entry.values.map(([name]) => name));
    const surplus = fields(form).some((one) => !names.has(one.name)); // rows that were removed
    if ((missing.length || surplus) && form.querySelector(ROW)) {
      write({ shown: here, person });
      return drawRows(form, missing);
    }
    write(null);
    show();
    form.dispatchEvent(new Event("change", { bubbles: true })); // the calculator beside a form reads it again
  }

  // On the way through sign-in: afterwards the page with the form is shown, also where the form was sent elsewhere.
  function passThrough(entry) {
    for (const field of document.querySelectorAll('input[name="next"]')) {
      if (field.value !== entry.action) continue;
      field.value = entry.page;
      write({ ...entry, out: true });
    }
    for (const link of document.querySelectorAll("a[href*='next=']")) {
      const url = new URL(link.href);
      if (url.searchParams.get("next") !== entry.action) continue;
      url.searchParams.set("next", entry.page);
      link.href = url.href;
    }
  }

  // An answer that stored nothing says so by this link, which leads back to the form.
  const unsent = document.getElementById("unsent");
  const entry = read();
  if (entry && !entry.shown && unsent && (!person || entry.person === person)) {
    write({ ...entry, out: true });
    const url = new URL(unsent.href);
    if (url.searchParams.has("next")) url.searchParams.set("next", entry.page); // over the page to sign in
    unsent.href = url.searchParams.has("next") ? url.href : entry.page;
  } else if (entry && !person) {
    if (!entry.shown) passThrough(entry);
  } else if (entry) {
    const mine = entry.person === person;
    if (entry.shown) {
      write(null);
      if (mine && entry.shown === here) show();
    } else if (!entry.out || !mine || Date.now() - entry.at > MAX_AGE) write(null); // it was stored, or is not theirs
    else if (entry.page === here) restore(entry);
  }
  // Before a form is sent, the platform is asked whether it is there: a browser's own page of an error would
  // take the place of what was typed. First of all listeners, so that the others run once, when it is sent.
  const lost = document.getElementById("lost"), alive = new WeakSet(), asking = new WeakSet();
  const say = (what) => { for (const one of lost.children) one.hidden = one.dataset.why !== what; };
  async function answers() {
    const answer = await fetch(lost.dataset.alive, { cache: "no-store", signal: AbortSignal.timeout(3000) });
    // Its own "no" is JSON, and no reason to keep a form back; a proxy without a platform says so in HTML.
    return answer.ok || answer.headers.get("content-type").includes("json");
  }
  window.addEventListener("submit", (event) => {
    const form = event.target, by = event.submitter;
    if (!lost || !form.matches("form[data-keep]") || read()?.shown || alive.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (asking.has(form)) return; // pressed twice
    asking.add(form);
    answers().catch(() => false).then((there) => {
      asking.delete(form);
      if (there) {
        alive.add(form);
        say("");
        return form.requestSubmit(by);
      }
      keep(form, here);
      write({ ...read(), out: true }); // also after a reload
      say("unsent");
      lost.scrollIntoView();
    });
  }, true);
  document.addEventListener("submit", (event) => {
    const form = event.target, by = event.submitter;
    if (read()?.shown) return; // rows are being drawn
    if (event.defaultPrevented || !form.matches("form[data-keep]")) return;
    keep(form, path(by?.getAttribute("formaction") ?? form.getAttribute("action")));
  });
  // Who is told of being signed out before sending anything, and follows the link to sign in.
  document.addEventListener("click", (event) => {
    const form = event.target.closest("#lost a") && all()[0];
    if (form) keep(form, here);
  });
})();
