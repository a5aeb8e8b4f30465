// <bakeoff-survey>: asks the question that came with a slate, once in its period, and sends the answer.
//
// The embed tells the elements of a page of every slate with a question, <bakeoff-slate> of its own; a page of modules calls
// `show(slate)`. With `surface` an element asks about that surface alone, and goes before those without. No question stands twice. What it says stands in attributes: `send`, `dismiss`, `thanks`, `comment`, `failed`.

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
:host { display: block; color: var(--bakeoff-color) }
:host([hidden]) { display: none }
:host([corner]) { position: fixed; right: 1rem; bottom: 1rem; z-index: 999; max-width: min(22rem, 100vw - 2rem);
max-height: 90vh; overflow: auto; color: CanvasText; background: Canvas }
fieldset { border: 1px solid; border-radius: var(--bakeoff-radius, .5rem); padding: 1rem; min-width: 0 }
.answers, label { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center }
label, button { min-height: 2rem }
textarea, button { font: inherit }
textarea { flex: 100%; min-width: 0 }
button { margin: .75rem .5rem 0 0 }`;

/** When each survey was shown in this browser; where storage is forbidden, on this page. */
let lastShown: Record<string, number> = {};
const recall = () => {
  try {
    lastShown = { ...lastShown, ...JSON.parse(localStorage[STORAGE_KEY]) };
  } catch {} // nothing is there yet, storage is forbidden, or somebody else wrote there
  return lastShown;
};
const remember = (key: string) => {
  recall()[key] = Date.now();
  try {
    localStorage[STORAGE_KEY] = JSON.stringify(lastShown);
  } catch {} // storage is full or forbidden
};

/** Define the element; once per page. A server may call it: it does nothing there. */
export function defineSurvey(source: ClientSource, name = "bakeoff-survey"): void {
  if (typeof customElements === "undefined" || customElements.get(name)) return;
  const style = new CSSStyleSheet(); // a strict policy of the page lets this pass, and no <style>
  style.replaceSync(STYLE);

  const elements = new Set<SurveyElement>(); // in the page, in the order in which they came

  class SurveyElement extends HTMLElement {
    #root = this.attachShadow({ mode: "open" });
    #asks = ""; // the survey whose question stands here
    #watch = () => {};
    #end = () => {};

    /** Ask in the first element that may; one of the slate's surface goes before those of any. */
    static tell(slate: Slate): void {
      for (const surface of [slate.surface, null, ""])
        for (const one of elements) if (one.getAttribute("surface") === surface) one.show(slate);
    }

    connectedCallback() {
      this.#root.adoptedStyleSheets = [style];
      elements.add(this);
      this.#watch(); // again, if it was moved before its question was in sight
    }

    disconnectedCallback() {
      elements.delete(this);
      this.#end();
    }

    /** Ask what came with a slate; returns whether a question is shown. */
    show(slate: Slate | null): boolean {
      const survey = slate?.survey;
      const surface = this.getAttribute("surface");
      // A visitor who is answering is not interrupted by the next slate, nor asked the same beside.
      if (!survey || this.#asks || (surface && surface !== slate.surface)) return false;
      if ([...elements].some((one) => one.#asks === survey.key)) return false;
      if (Date.now() - recall()[survey.key]! < survey.period_days * DAY) return false;
      this.#asks = survey.key;
      this.#ask(survey, slate.recommendation_id);
      return true;
    }

    #client = () => {
      const client = typeof source === "function" ? source() : source;
      if (!client) throw Error(name + ": load /sdk/v1.js first.");
      return client;
    };

    #ask(survey: Survey, recommendation_id: string) {
      const about = { recommendation_id, unit_id: this.getAttribute("unit") || undefined };
      const reportPrompt = (what: string) => {
        remember(survey.key);
        this.#client().track("prompt_" + what, { ...about, properties: { survey: survey.key } });
      };
      const close = (message: string) => {
        this.#asks = "";
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
        const chosen = new FormData(form).getAll("answer").map((one) => (one as string).trim()).filter(Boolean);
        if (!chosen[0]) return;
        const answer = survey.kind === "choices" ? chosen : survey.scale ? +chosen[0] : chosen[0];
        const send = (kind: "survey" | "text", value: unknown) => this.#client().feedback({ ...about, kind, value });
        try {
          // A comment that is refused hides no answer, and the next try sends the answer only if it is another.
          const wanted = JSON.stringify(answer);
          if (sent !== wanted) {
            await send("survey", { survey: survey.key, answer });
            sent = wanted;
            reportPrompt("answered");
          }
          if (text.value.trim()) await send("text", text.value);
          close(word("thanks"));
        } catch {
          status.textContent = word("failed"); // what was chosen and written stays
        }
      };
      form.onreset = () => {
        reportPrompt("dismissed");
        close("");
      };
      this.#root.replaceChildren(form);
      // Shown is what was in sight: a question below the fold is neither counted nor remembered.
      this.#watch = () => {
        this.#end();
        this.#end = this.#client().whenSeen(this, () => {
          this.#watch = () => {};
          reportPrompt("shown");
        });
      };
      this.#watch();
    }
  }
  customElements.define(name, SurveyElement);
  document.addEventListener("bakeoff-slate", (event) => SurveyElement.tell((event as CustomEvent<Slate>).detail));
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
  const values = scale ? Array.from({ length: scale[1] - scale[0] + 1 }, (_, n) => scale[0] + n + "") : choices;
  const type: Record<string, string> = kind === "choices" ? { type: "checkbox" } : { type: "radio", required: "" };
  // The value is the survey's own text, in whatever language it is read: answers of all languages are counted together.
  const answers = kind === "text" ? [make("textarea", { part: "answer", name: "answer", rows: "3", maxlength: "2000", required: "", "aria-label": texts.question })] : values.map((value, n) =>
    make("label", { part: "answer" }, make("input", { ...type, name: "answer", value }), texts.choices?.[n] || value),
  );
  return make("fieldset", { part: "survey" }, make("legend", { part: "question" }, texts.question), make("div", { class: "answers" }, ...answers), ...rest);
}
