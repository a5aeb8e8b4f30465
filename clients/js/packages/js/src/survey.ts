// <bakeoff-survey>: asks the question that came with a slate, once in its period, and sends the answer.
//
// The embed tells it of every slate with a question, <bakeoff-slate> of its own; a page of modules calls `show(slate)`.
// With `surface` it asks about that surface alone. What it says stands in attributes: `send`, `dismiss`, `thanks`, `comment`, `failed`.

import type { ClientSource } from "./slate.js";
import { make } from "./slate.js";
import type { Slate, Survey } from "./types.js";

type Texts = Pick<Survey, "question" | "choices" | "words">;

const STORAGE_KEY = "bakeoff_asked";
const DAY = 86_400_000;
const WORDS = {
  send: "Send",
  dismiss: "Not now",
  thanks: "Thank you.",
  comment: "Anything to add?",
  failed: "That did not work. Please try again.",
};
const STYLE = `
:host { display: block; color: var(--bakeoff-color, inherit) }
:host([hidden]) { display: none }
:host([corner]) { position: fixed; right: 1rem; bottom: 1rem; z-index: 999; max-width: min(22rem, 100vw - 2rem);
max-height: 90vh; overflow: auto; color: CanvasText; background: Canvas }
fieldset { border: 1px solid; border-radius: var(--bakeoff-radius, .5rem); padding: 1rem; min-width: 0 }
.answers, label { display: flex; flex-wrap: wrap; gap: .25rem .5rem; align-items: center }
label, button { min-height: 2rem }
textarea, button { font: inherit }
textarea { flex: 1 1 100%; min-width: 0 }
button { margin: .75rem .5rem 0 0 }`;

/** When each survey was shown in this browser; where storage is forbidden, on this page. */
let lastShown: Record<string, number> = {};
const recall = () => {
  try {
    lastShown = { ...lastShown, ...JSON.parse(localStorage.getItem(STORAGE_KEY) || "{}") };
  } catch {} // storage is forbidden, or somebody else wrote there
  return lastShown;
};
const remember = (key: string) => {
  lastShown = { ...recall(), [key]: Date.now() };
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(lastShown));
  } catch {} // storage is full or forbidden
};

/** Define the element; once per page. A server may call it: it does nothing there. */
export function defineSurvey(source: ClientSource, name = "bakeoff-survey"): void {
  if (typeof customElements === "undefined" || customElements.get(name)) return;
  const style = new CSSStyleSheet(); // a strict policy of the page lets this pass, and no <style>
  style.replaceSync(STYLE);

  customElements.define(
    name,
    class extends HTMLElement {
      #root = this.attachShadow({ mode: "open" });
      #isOpen = false;
      #watch = () => {};
      #end = () => {};
      #onSlate = (event: Event) => this.show((event as CustomEvent<Slate>).detail);

      connectedCallback() {
        this.#root.adoptedStyleSheets = [style];
        document.addEventListener("bakeoff-slate", this.#onSlate);
        this.#watch(); // again, if it was moved before its question was in sight
      }

      disconnectedCallback() {
        document.removeEventListener("bakeoff-slate", this.#onSlate);
        this.#end();
      }

      /** Ask what came with a slate; returns whether a question is shown. */
      show(slate: Slate | null): boolean {
        const survey = slate?.survey;
        const surface = this.getAttribute("surface");
        // A visitor who is answering is not interrupted by the next slate.
        if (!survey || this.#isOpen || (surface && surface !== slate.surface)) return false;
        if (Date.now() - (recall()[survey.key] || 0) < survey.period_days * DAY) return false;
        this.#isOpen = true;
        this.#ask(survey, slate.recommendation_id);
        return true;
      }

      #client = () => {
        const client = typeof source === "function" ? source() : source;
        if (!client) throw new Error(`<${name}>: load /sdk/v1.js before it.`);
        return client;
      };

      #ask(survey: Survey, recommendation_id: string) {
        const unit_id = this.getAttribute("unit") || undefined;
        const about = { recommendation_id, unit_id };
        const reportPrompt = (what: string) =>
          this.#client().track("prompt_" + what, { ...about, properties: { survey: survey.key } });
        const close = (message: string) => {
          this.#isOpen = false;
          this.#root.replaceChildren(make("p", { role: "status", part: "status" }, message));
        };
        const texts = textsFor(survey, this);
        const word = (name: keyof typeof WORDS) => this.getAttribute(name) || texts.words?.[name] || WORDS[name];
        const text = make("textarea", { rows: "2", maxlength: "4000" }) as HTMLTextAreaElement;
        const status = make("p", { role: "alert", part: "status" });
        const form = make("form", { part: "form" }, fieldset(survey, texts, [
          survey.comment ? make("label", { part: "comment" }, word("comment"), text) : "",
          make("button", { part: "send" }, word("send")),
          make("button", { type: "reset", part: "dismiss" }, word("dismiss")),
          status,
        ])) as HTMLFormElement;
        let sent = "";
        form.onsubmit = async (event) => {
          event.preventDefault();
          const chosen = new FormData(form).getAll("answer").map((one) => String(one).trim()).filter(Boolean);
          if (!chosen.length) return;
          const answer = survey.kind === "choices" ? chosen : survey.scale ? Number(chosen[0]) : chosen[0];
          const send = (kind: "survey" | "text", value: unknown) => this.#client().feedback({ ...about, kind, value });
          try {
            // A comment that is refused hides no answer, and the next try sends the answer only if it is another.
            if (sent !== JSON.stringify(answer)) {
              await send("survey", { survey: survey.key, answer });
              sent = JSON.stringify(answer);
              remember(survey.key);
              reportPrompt("answered");
            }
            if (text.value.trim()) await send("text", text.value);
            close(word("thanks"));
          } catch {
            status.textContent = word("failed"); // what was chosen and written stays
          }
        };
        form.onreset = () => {
          remember(survey.key);
          reportPrompt("dismissed");
          close("");
        };
        this.#root.replaceChildren(form);
        // Shown is what was in sight: a question below the fold is neither counted nor remembered.
        this.#watch = () => {
          this.#end();
          this.#end = this.#client().whenSeen(this, () => {
            this.#watch = () => {};
            remember(survey.key);
            reportPrompt("shown");
          });
        };
        this.#watch();
      }
    },
  );
}

/** The question's texts in the language of the page around an element; else as it is. */
function textsFor(survey: Survey, element: Element): Texts {
  const texts = Object.entries(survey.translations || {});
  let tag = (element.closest<HTMLElement>("[lang]")?.lang || "").toLowerCase();
  // zh-Hans-CN is read as zh-Hans, and that as zh.
  for (; tag; tag = tag.replace(/-?[^-]*$/, "")) {
    const match = texts.find(([language]) => language.toLowerCase() === tag);
    if (match) return match[1];
  }
  return survey;
}

function fieldset({ kind, scale, choices = [] }: Survey, texts: Texts, rest: (HTMLElement | string)[]): HTMLElement {
  const [low, high] = scale || [0, -1];
  const numbers = [...Array(high - low + 1).keys()].map((n) => String(low + n));
  const type = kind === "choices" ? "checkbox" : "radio";
  const written = { part: "answer", name: "answer", rows: "3", maxlength: "2000", required: "", "aria-label": texts.question };
  // The value is the survey's own text, in whatever language it is read: answers of all languages are counted together.
  const answers = kind === "text" ? [make("textarea", written)] : (scale ? numbers : choices).map((value, n) =>
    make("label", { part: "answer" }, make("input", { type, name: "answer", value, ...(type === "radio" && { required: "" }) }), texts.choices?.[n] || value),
  );
  return make("fieldset", { part: "survey" }, make("legend", { part: "question" }, texts.question), make("div", { class: "answers" }, ...answers), ...rest);
}
