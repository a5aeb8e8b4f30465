// Answers of language models as they come.

import type { Client } from "./client.js";
import { BakeoffError } from "./transport.js";
import type { ChatOptions, ChatPart } from "./types.js";

/** Yield an answer as it comes: `for await (const { text } of chatStream(client, "support", { variables }))`. */
export async function* chatStream(
  client: Pick<Client, "open">,
  surface: string,
  options?: ChatOptions,
  signal?: AbortSignal,
): AsyncGenerator<ChatPart, void> {
  const answer = await client.open("/v1/chat/completions", { model: surface, stream: true }, options, signal);
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new BakeoffError(0, "cut_off", "The answer was cut off.");
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop()!; // may go on in what comes next
      for (const line of lines) {
        if (!line.startsWith("data: ")) continue;
        if (line === "data: [DONE]") return;
        const { error, id, choices } = JSON.parse(line.slice(6));
        if (error) throw new BakeoffError(0, error.code || "refused", error.message);
        const [choice] = choices;
        if (choice) yield { id, text: choice.delta?.content || "", finish_reason: choice.finish_reason ?? null };
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the reader has left, so the server may stop
  }
}
