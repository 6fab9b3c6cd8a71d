"""An agent that needs no model: it answers word by word, so that streaming can be seen and timed.

The words leave in both ways a client may listen: as chat model tokens (stream mode "messages") and through the writer
(stream mode "custom"). The same graph as examples/agent/graph.mjs.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import StreamWriter

WORD_DELAY_SECONDS = float(os.environ.get("AGENT_WORD_DELAY_MS", "40")) / 1000


def words(messages: list[BaseMessage]) -> list[str]:
    heard = messages[-1].text if messages else ""
    turn = (len(messages) + 1) // 2
    return re.split(r"(?<= )", f"You said: {heard or 'nothing'}. This is turn {turn} of our talk, told word by word.")


class EchoModel(BaseChatModel):
    """Says back what it heard. Each word is one chunk."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(words(messages))))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in words(messages):
            await asyncio.sleep(WORD_DELAY_SECONDS)
            yield ChatGenerationChunk(message=AIMessageChunk(word))


model = EchoModel()


async def answer(state: MessagesState, config: RunnableConfig, writer: StreamWriter) -> dict[str, Any]:
    told = None
    async for chunk in model.astream(state["messages"], config):
        writer({"word": chunk.text})
        told = chunk if told is None else told + chunk
    return {"messages": [told]}


graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END).compile()
