// A product's chat in miniature: ask, show the answer as it comes, send what the visitor does with it.
(function () {
  "use strict";
  const form = document.getElementById("chat"), turns = document.getElementById("turns");
  const trouble = document.getElementById("trouble"), stop = document.getElementById("stop");
  const send = form.querySelector(".main"), visitor = document.getElementById("visitor");
  const { surface, key } = form.dataset;
  const words = {};
  for (const one of document.getElementById("words").content.querySelectorAll("[data-word]")) words[one.dataset.word] = one.textContent;
  const id = () => (crypto.randomUUID ? crypto.randomUUID() : Date.now() + "-" + Math.random().toString(36).slice(2));
  // The page plays several visitors, so it names each itself: the embed's anonymous id is this browser's.
  let unit = form.dataset.unit, running = null;

  function enter(name) {
    unit = name || "visitor-" + id().slice(0, 8);
    visitor.textContent = unit;
    turns.replaceChildren();
  }
  enter(unit);

  async function post(path, body, signal) {
    const answer = await fetch(new URL("v1/" + path, new URL(form.dataset.base, location.href)), {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
      body: JSON.stringify(body),
      signal,
    });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({})); // a proxy's page
    throw new Error((told.error && told.error.message) || "HTTP " + answer.status);
  }

  // The events of a stream, one after the other; a line may come in two parts.
  async function* events(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error(words.broken);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "data: [DONE]") return;
        if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
      }
    }
  }

  function addTurn(variables) {
    turns.append(document.getElementById("turn").content.cloneNode(true));
    const row = turns.lastElementChild;
    row.querySelector(".question").textContent = Object.values(variables).join(" · ");
    const turn = { row, variables, unit, generation: "", text: "" };
    for (const button of row.querySelectorAll("[data-act]")) button.addEventListener("click", () => acts[button.dataset.act](turn));
    row.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      save(turn);
    });
    return turn;
  }

  function read(turn, event) {
    if (event.error) throw new Error(event.error.message);
    const about = event.bakeoff;
    if (about) {
      turn.generation = about.generation_id;
      turn.row.dataset.generation = about.generation_id;
      const parts = [about.version, about.variant && about.experiment + ": " + about.variant, about.fallback];
      turn.row.querySelector(".about").textContent = parts.filter(Boolean).join(" · ");
    }
    const [choice] = event.choices || [];
    turn.text += (choice && choice.delta && choice.delta.content) || "";
    turn.row.querySelector(".answer").textContent = turn.text;
  }

  async function ask(variables) {
    if (running) return;
    const turn = addTurn(variables);
    running = new AbortController();
    trouble.textContent = "";
    send.disabled = true;
    stop.hidden = false;
    try {
      const body = { model: surface, user: unit, stream: true, variables };
      for await (const event of events(await post("chat/completions", body, running.signal))) read(turn, event);
      if (!turn.text) trouble.textContent = words.empty;
    } catch (error) {
      if (error.name === "AbortError") abandon(turn);
      else trouble.textContent = error.message;
    } finally {
      running = null;
      send.disabled = false;
      stop.hidden = true;
      turn.row.dataset.done = "1";
      if (!turn.generation) turn.row.remove(); // nothing was answered: the sentence says why
      else turn.row.querySelector(".acts").hidden = false;
    }
  }

  async function tell(turn, kind, value, shown) {
    const body = { feedback_id: id(), recommendation_id: turn.generation, unit_id: turn.unit, kind };
    if (value !== undefined) body.value = value;
    try {
      await post("feedback", body);
      turn.row.querySelector(".recorded").textContent = words.recorded + ": " + shown;
    } catch (error) {
      trouble.textContent = error.message;
    }
  }

  function abandon(turn) {
    trouble.textContent = words.stopped;
    const named = turn.row.querySelector('[data-act="edit"]');
    named.hidden = true; // half an answer is no text to improve
    if (turn.generation) tell(turn, "abandon", undefined, words.stopped);
  }

  function editing(turn, on) {
    const edit = turn.row.querySelector("form");
    edit.hidden = !on;
    turn.row.querySelector(".answer").hidden = on;
    if (on) {
      edit.firstElementChild.value = turn.text;
      edit.firstElementChild.focus();
    }
  }

  async function save(turn) {
    turn.text = turn.row.querySelector("textarea").value.trim();
    if (!turn.text) return;
    turn.row.querySelector(".answer").textContent = turn.text;
    editing(turn, false);
    await tell(turn, "edit", turn.text, label(turn, "edit"));
  }

  const label = (turn, act) => turn.row.querySelector(`[data-act="${act}"]`).textContent;
  const acts = {
    up: (turn) => tell(turn, "thumb", 1, "+1"),
    down: (turn) => tell(turn, "thumb", -1, "−1"),
    cancel: (turn) => editing(turn, false),
    edit: (turn) => editing(turn, true),
    async copy(turn) {
      try {
        await navigator.clipboard.writeText(turn.text);
      } catch (error) {
        trouble.textContent = error.message; // the browser forbids it: nothing was copied
        return;
      }
      await tell(turn, "copy", undefined, label(turn, "copy"));
    },
    async regenerate(turn) {
      if (running) return;
      await tell(turn, "regenerate", undefined, label(turn, "regenerate"));
      await ask(turn.variables);
    },
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) return;
    const variables = {};
    for (const field of form.querySelectorAll("textarea")) if (field.value.trim()) variables[field.name] = field.value.trim();
    form.reset();
    ask(variables);
  });
  // Enter sends, Shift and Enter begin a line; not while an input method composes a character.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target.tagName !== "TEXTAREA") return;
    event.preventDefault();
    form.requestSubmit();
  });
  stop.addEventListener("click", () => running && running.abort());
  document.getElementById("renew").addEventListener("click", () => !running && enter(""));
})();
