import { defineProvider, ProviderError } from 'sluice'

/**
 * Ollama by its own API, which streams JSON, one object to a line:
 * https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
 *
 *   providers:
 *     ollama: { module: ./examples/ollama.js, models: [llama3.2], options: { url: "http://localhost:11434" } }
 */
export default defineProvider({
  name: 'ollama',

  async *stream({ model, messages, temperature, seed, max_tokens }, { signal, options }) {
    const body = { model, messages, options: { temperature, seed, num_predict: max_tokens } }
    const request = { method: 'POST', body: JSON.stringify(body), signal }
    const response = await fetch(new URL('/api/chat', String(options.url)), request).catch((cause) => {
      throw new ProviderError({ code: 'upstream_unreachable', message: 'Ollama cannot be reached.', cause })
    })
    if (!response.ok) {
      const code = response.status < 500 ? 'upstream_rejected' : 'upstream_unavailable'
      throw new ProviderError({ code, message: `Ollama answered ${response.status}.`, upstreamStatus: response.status })
    }
    for await (const { message, error, ...rest } of readObjects(response.body)) {
      if (error) throw new ProviderError({ code: 'upstream_error', message: error })
      if (message?.thinking) yield { type: 'delta', reasoning: message.thinking }
      if (message?.content) yield { type: 'delta', content: message.content }
      if (rest.done) yield toDone(rest)
    }
  },
})

function toDone({ done_reason, prompt_eval_count = 0, eval_count = 0 }) {
  const counts = { prompt_tokens: prompt_eval_count, completion_tokens: eval_count }
  return {
    type: 'done',
    finish_reason: done_reason === 'length' ? 'length' : 'stop',
    usage: { ...counts, total_tokens: prompt_eval_count + eval_count },
  }
}

/** One object to a line, however the network cuts them. */
async function* readObjects(body) {
  let rest = ''
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) if (line.trim()) yield JSON.parse(line)
  }
  if (rest.trim()) yield JSON.parse(rest)
}
