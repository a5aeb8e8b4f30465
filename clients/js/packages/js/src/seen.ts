// What was in sight: half of an element's pixels for a second.

import { isPage } from "./visitor.js";

const SHARE = 0.5;
const MILLISECONDS = 1000;

export function watcher() {
  const watched = new WeakMap<Element, { act: () => void; timer: number }>();
  const observer = isPage
    ? new IntersectionObserver(
        (entries) => {
          for (const { target, intersectionRatio } of entries) {
            const one = watched.get(target)!;
            clearTimeout(one.timer);
            if (intersectionRatio >= SHARE)
              one.timer = setTimeout(() => {
                observer?.unobserve(target);
                one.act();
              }, MILLISECONDS);
          }
        },
        { threshold: [0, SHARE] },
      )
    : undefined;

  /** Call `act` once, when the element was in sight; returns what ends the watch. */
  return (element: Element, act: () => void): (() => void) => {
    const one = { act, timer: 0 };
    watched.set(element, one);
    observer?.observe(element);
    return () => {
      clearTimeout(one.timer);
      if (watched.get(element) === one) observer?.unobserve(element);
    };
  };
}
