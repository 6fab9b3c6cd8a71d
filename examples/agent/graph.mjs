// An agent that needs no model: it answers word by word, so that streaming can be seen and timed.
//
// The words leave in both ways a client may listen: as chat model tokens (stream mode "messages") and through the writer
// (stream mode "custom").

import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

const wordDelayMs = Number(process.env.AGENT_WORD_DELAY_MS ?? 40);

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Says back what it heard. Each word is one chunk. */
class EchoModel extends BaseChatModel {
  constructor() {
    super({});
  }

  _llmType() {
    return "echo";
  }

  /** @param {import("@langchain/core/messages").BaseMessage[]} messages */
  words(messages) {
    const heard = messages.at(-1)?.text ?? "";
    return `You said: ${heard || "nothing"}. This is turn ${Math.ceil(messages.length / 2)} of our talk, told word by word.`.split(/(?<= )/);
  }

  /** @param {import("@langchain/core/messages").BaseMessage[]} messages */
  async _generate(messages) {
    const text = this.words(messages).join("");
    return { generations: [{ text, message: new AIMessage(text) }] };
  }

  /**
   * @param {import("@langchain/core/messages").BaseMessage[]} messages
   * @param {unknown} _options
   * @param {import("@langchain/core/callbacks/manager").CallbackManagerForLLMRun} [runManager]
   */
  async *_streamResponseChunks(messages, _options, runManager) {
    for (const word of this.words(messages)) {
      await pause(wordDelayMs);
      const chunk = new ChatGenerationChunk({ text: word, message: new AIMessageChunk(word) });
      yield chunk;
      await runManager?.handleLLMNewToken(word, undefined, undefined, undefined, undefined, { chunk });
    }
  }
}

const model = new EchoModel();

export const graph = new StateGraph(MessagesAnnotation)
  .addNode("answer", async (state, config) => {
    let answer;
    for await (const chunk of await model.stream(state.messages, config)) {
      config.writer?.({ word: chunk.text });
      answer = answer ? answer.concat(chunk) : chunk;
    }
    return { messages: [answer] };
  })
  .addEdge(START, "answer")
  .addEdge("answer", END)
  .compile();
