// <bakeoff-slate surface="home-feed" k="5">: recommendations without a framework.
//
// It renders a list in its shadow root, styled by custom properties and parts. A <template> inside it becomes
// the content of each item, in the page's own tree and with the page's own styles: data-text="title" sets a
// text, data-attr="href: url; src: image_url; alt: title" sets attributes. Slots `empty`, `error` and `loading`
// hold what shows in their place. It reports views and clicks itself.

import type { Client } from "./client.js";
import type { EventFields, Item, ListOptions, Slate } from "./types.js";

type State = "loading" | "ready" | "empty" | "error";
/** The client, or what gives it once it is there. */
export type ClientSource = Client | (() => Client | undefined);

const NAME = "bakeoff-slate";
const AHEAD = "200px"; // below the fold, where `lazy` begins to request
const USUAL = ["url", "image_url", "price", "labels", "group_id"];
const LISTS = ["recommend", "similar", "popular", "trending", "latest"] as const;
const STYLE = `
  :host { display: block; }
  :host([hidden]) { display: none; }
  ul { display: grid; grid-template-columns: var(--bakeoff-columns, repeat(auto-fill, minmax(10rem, 1fr)));
    gap: var(--bakeoff-gap, 1rem); list-style: none; margin: 0; padding: 0; }
  li { min-width: 0; }
  a, .card { display: block; color: var(--bakeoff-color, inherit); text-decoration: none; }
  a:hover .title { text-decoration: underline; }
  a:focus-visible { outline: 2px solid var(--bakeoff-accent, currentColor); outline-offset: 2px; }
  img { display: block; width: 100%; aspect-ratio: var(--bakeoff-ratio, 1); object-fit: cover;
    border-radius: var(--bakeoff-radius, .5rem); }
  .title { display: block; margin-top: .4rem; overflow-wrap: anywhere; }
  [hidden] { display: none; }
`;

const isLink = (value: unknown): value is string => {
  try {
    return /^https?:$/.test(new URL(String(value), location.href).protocol);
  } catch {
    return false;
  }
};

/** Return a field of an item by its path, such as `title` or `properties.author`. */
const fieldOf = (item: Item, path: string): unknown =>
  path.split(".").reduce<unknown>((value, name) => (value as Record<string, unknown> | null)?.[name], item);

/** Return what a template names: pairs of an attribute (empty: the text) and a field, by element. */
const bindingsOf = (content: DocumentFragment): [HTMLElement, [attribute: string, path: string][]][] =>
  [...content.querySelectorAll<HTMLElement>("[data-text], [data-attr]")].map((element) => {
    const { text, attr = "" } = element.dataset;
    const pairs = attr.split(";").map((pair) => pair.split(":").map((part) => part.trim()));
    return [element, [["", text || ""], ...pairs.map(([name = "", path = ""]): [string, string] => [name, path])]];
  });

/** Return the fields of an answer that a template needs; undefined: the usual ones. */
function fieldsOf(content: DocumentFragment): string[] | undefined {
  const paths = bindingsOf(content).flatMap(([, pairs]) => pairs.map(([, path]) => path.split(".")));
  const names = paths.filter(([first, name]) => first === "properties" && name).map(([, name]) => name!);
  return names.length ? [...USUAL, ...new Set(names)] : undefined;
}

/** Put an item's fields where a template names them. */
function fill(content: DocumentFragment, item: Item) {
  for (const [element, pairs] of bindingsOf(content))
    for (const [attribute, path] of pairs) {
      const value = path && fieldOf(item, path);
      // An item's address is a link, never a script; and no field becomes a handler.
      const fits = value != null && !/^on/i.test(attribute) && (!/^(href|src)$/i.test(attribute) || isLink(value));
      if (!attribute && path) element.textContent = String(value ?? "");
      else if (attribute && path && fits) element.setAttribute(attribute, String(value));
    }
}

/** Make an element; without innerHTML, so that a page that demands trusted types lets it pass. */
export function make(tag: string, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The card of an item where the page has no template. */
function cardOf({ item_id, title, url, image_url }: Item): HTMLElement {
  const parts = [make("span", { class: "title", part: "title" }, title || item_id)];
  if (image_url && isLink(image_url))
    parts.unshift(make("img", { src: image_url, alt: "", loading: "lazy", part: "image" }));
  return url && isLink(url)
    ? make("a", { class: "card", part: "card", href: url }, ...parts)
    : make("div", { class: "card", part: "card" }, ...parts);
}

/** Define the element; once per page. A server may call it: it does nothing there. */
export function defineSlate(source: ClientSource, name = NAME): void {
  if (typeof customElements === "undefined" || customElements.get(name)) return;
  const style = new CSSStyleSheet(); // a strict policy of the page lets this pass, and no <style>
  style.replaceSync(STYLE);

  customElements.define(
    name,
    class extends HTMLElement {
      static observedAttributes = ["surface", "k", "list", "item", "unit", "label"];
      #due = false;
      #shown = "";
      #round = 0;
      #list = make("ul", { part: "list", role: "list" });
      #places = [
        make("slot", { name: "loading" }),
        make("slot", { name: "empty" }, "Nothing to show yet."),
        make("slot", { name: "error" }, "Recommendations are not available right now."),
      ];
      #section = make("section", { part: "section" }, make("div", { role: "status", part: "status" }, ...this.#places), this.#list);
      #rows: [row: HTMLElement, fields: EventFields][] = [];
      #watches: (() => void)[] = [];
      #isNear = false;
      #approach = new IntersectionObserver(
        (entries) => {
          if (!entries.some((one) => one.isIntersecting)) return;
          this.#isNear = true;
          this.#approach.disconnect();
          this.#wish();
        },
        { rootMargin: AHEAD },
      );

      constructor() {
        super();
        const root = this.attachShadow({ mode: "open" });
        root.adoptedStyleSheets = [style];
        root.append(this.#section);
      }

      connectedCallback() {
        this.#watch();
        this.#wish();
      }

      disconnectedCallback() {
        this.#approach.disconnect();
        for (const end of this.#watches.splice(0)) end();
      }

      attributeChangedCallback() {
        this.#wish();
      }

      /** Request again, with the same attributes. */
      refresh() {
        this.#shown = "";
        this.#wish();
      }

      /** Several attributes that change together are one request, and so one exposure. */
      #wish() {
        if (this.#due || !this.isConnected) return;
        // A list that nobody scrolls to is no exposure.
        if (this.hasAttribute("lazy") && !this.#isNear) return this.#approach.observe(this);
        this.#due = true;
        const load = () => {
          this.#due = false;
          this.#load();
        };
        // While the page is parsed its template may not be there yet.
        if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", load, { once: true });
        else queueMicrotask(load);
      }

      async #load() {
        const at = (attribute: string) => this.getAttribute(attribute) || undefined;
        this.#section.setAttribute("aria-label", at("label") || "Recommendations");
        const wanted = JSON.stringify(["surface", "k", "list", "item", "unit"].map(at));
        if (wanted === this.#shown) return; // it was moved, or its label changed
        this.#shown = wanted;
        const round = ++this.#round;
        this.#state("loading");
        try {
          const slate = await this.#ask(at);
          if (round !== this.#round) return; // its attributes changed meanwhile
          this.#render(slate);
          this.#state(slate.items.length ? "ready" : "empty");
          this.dispatchEvent(new CustomEvent("bakeoff-slate", { detail: slate, bubbles: true }));
        } catch (error) {
          if (round !== this.#round) return;
          this.#shown = ""; // the next change, or its return to the page, tries again
          this.#state("error");
          this.dispatchEvent(new CustomEvent("bakeoff-error", { detail: error, bubbles: true }));
        }
      }

      async #ask(at: (attribute: string) => string | undefined): Promise<Slate> {
        const client = this.#client();
        const surface = at("surface");
        const list = (at("list") || (at("item") ? "similar" : "recommend")) as (typeof LISTS)[number];
        const options: ListOptions = {};
        if (at("k")) options.k = Number(at("k"));
        if (Number.isNaN(options.k)) throw wrong(`<${name}>: k == '${at("k")}', must be a whole number.`);
        const template = this.#template();
        if (template) options.fields = fieldsOf(template.content);
        if (at("unit")) options.unit_id = at("unit");
        if (!surface) throw wrong(`<${name}>: surface is missing, must be the key of a surface.`);
        if (!LISTS.includes(list)) throw wrong(`<${name}>: list == '${list}', must be one of ${LISTS.join(", ")}.`);
        if (list !== "similar") return client[list](surface, options);
        if (!at("item")) throw wrong(`<${name}>: item is missing, must be the item that others are similar to.`);
        return client.similar(surface, at("item")!, options);
      }

      #template = () => this.querySelector<HTMLTemplateElement>(":scope > template");

      #client(): Client {
        const client = typeof source === "function" ? source() : source;
        if (!client) throw wrong(`<${name}>: window.bakeoff is missing, load the embed before this script.`);
        return client;
      }

      #state(state: State) {
        this.setAttribute("state", state);
        this.#section.setAttribute("aria-busy", String(state === "loading"));
        for (const place of this.#places) place.hidden = place.getAttribute("name") !== state;
        this.#list.hidden = state === "empty" || state === "error";
      }

      #render({ items, recommendation_id }: Slate) {
        const client = this.#client();
        const template = this.#template();
        for (const old of this.querySelectorAll(":scope > [data-bakeoff-item]")) old.remove();
        this.#rows = items.map((item) => {
          const fields = { item_id: item.item_id, recommendation_id };
          const row = make("li", { part: "item" }, template ? this.#place(template, item) : cardOf(item));
          row.addEventListener("click", () => void client.track("click", fields));
          return [row, fields];
        });
        this.#list.replaceChildren(...this.#rows.map(([row]) => row));
        this.#watch();
      }

      /** Report what comes in sight: a view counts once per slate and item, however often this is called. */
      #watch() {
        for (const end of this.#watches.splice(0)) end();
        this.#watches = this.#rows.map(([row, fields]) => this.#client().viewed(row, fields));
      }

      /** Put a copy of the template into the page's own tree, and return the slot that shows it. */
      #place(template: HTMLTemplateElement, item: Item): HTMLElement {
        const content = template.content.cloneNode(true) as DocumentFragment;
        fill(content, item);
        const place = `item-${item.position}`;
        this.append(make("div", { slot: place, "data-bakeoff-item": item.item_id }, content));
        return make("slot", { name: place });
      }
    },
  );
}

function wrong(message: string): Error {
  console.warn("Bakeoff: " + message);
  return new Error(message);
}
