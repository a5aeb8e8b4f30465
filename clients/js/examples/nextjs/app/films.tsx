"use client";

// The browser shows what the server requested, and reports what is seen and clicked.

import { createClient, type Flags, type Slate } from "@bakeoff/js";
import { BakeoffProvider, useBakeoff, useFeedback, useFlag, useRecommendations, Viewed } from "@bakeoff/react";
import { useState } from "react";

interface Props {
  url: string;
  publicKey: string;
  slate: Slate | null;
  flags: Flags | undefined;
}

export function Films({ url, publicKey, slate, flags }: Props) {
  const [bakeoff] = useState(() => createClient({ url, key: publicKey, storage: "cookie" }));
  return (
    <BakeoffProvider client={bakeoff} initialFlags={flags}>
      <List initial={slate} />
    </BakeoffProvider>
  );
}

function List({ initial }: { initial: Slate | null }) {
  const bakeoff = useBakeoff();
  const { slate, items, error, refresh } = useRecommendations("home-feed", { k: 5, initial });
  const heading = useFlag("heading", "Films");
  const send = useFeedback(slate);
  if (!slate) return <p role="status">{error ? "Our editors' picks" : "One moment"}</p>;
  const { recommendation_id } = slate;
  return (
    <main>
      <h1>{heading}</h1>
      <ol>
        {items.map((item) => (
          <Viewed as="li" key={item.item_id} slate={slate} item={item}>
            <button onClick={() => bakeoff.track("click", { item_id: item.item_id, recommendation_id })}>{item.title}</button>
            <button aria-label={`Like ${item.title}`} onClick={() => send("thumb", 1, { item_id: item.item_id })}>
              +1
            </button>
          </Viewed>
        ))}
      </ol>
      <button onClick={refresh}>More</button>
    </main>
  );
}
