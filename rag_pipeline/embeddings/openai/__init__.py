"""Models behind the embeddings API of OpenAI, which many other services and servers speak too.

`OpenAIEmbedder` buys vectors by requests of many texts, several at a time. It believes no answer before it is
checked, sends again what was lost, finds the one text that spoils a request, and says what every request cost.

================  ==========================================================================
module            question it answers
================  ==========================================================================
`tokens`          how many tokens is a text, without asking anybody?
`packing`         which texts go into a request?
`client`          who is asked, with which key, and in which thread?
`bounded`         how much of a reply is read, whatever is sent?
`service`         how does a request get there and back, in bounded time?
`outcomes`        what came of a request, and whose turn is it then?
`answers`         is this answer whole, and which vectors are in it?
`limits`          when may the next request leave, and how many at a time?
`refusals`        whose fault is it that texts are refused?
`buying`          what is sent, sent again, halved or given up, and in which order?
================  ==========================================================================
"""

from rag_pipeline.embeddings.openai.embedder import OpenAIEmbedder

__all__ = ["OpenAIEmbedder"]
