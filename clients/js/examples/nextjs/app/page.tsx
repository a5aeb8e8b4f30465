// The server requests the slate and the flags, once per visit: that is the exposure of the slate.

import { createClient, idFromCookies } from "@bakeoff/js";
import { headers } from "next/headers";
import { Films } from "./films";

export default async function Page() {
  const url = process.env.BAKEOFF_URL ?? "http://localhost:8000";
  const key = process.env.BAKEOFF_PUBLIC_KEY ?? "";
  const anonymousId = idFromCookies((await headers()).get("cookie") ?? "");
  const bakeoff = createClient({ url, key, anonymousId });
  // Without an answer the page has its own list, and the code's defaults.
  const [slate, flags] = await Promise.all([
    bakeoff.show("home-feed", { k: 5, timeout: 2000 }),
    bakeoff.flags().catch(() => undefined),
  ]);
  return <Films url={url} publicKey={key} slate={slate} flags={flags} />;
}
