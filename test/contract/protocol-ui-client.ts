import { expectThat, nothingSaid, toText, type Fields, type ProtocolClient, type Said } from './protocol-client.ts'
import { native } from './protocol-chat-clients.ts'

// The UI message stream, as `useChat` reads it.

const FINISHES: Record<string, Said['finish']> = { stop: 'stop', length: 'length', 'tool-calls': 'tool_calls' }

export const uiMessages: ProtocolClient = {
  name: 'ui-messages',
  path: '/v1/ui/chat',
  request: (stream) => ({
    headers: { accept: stream ? 'text/event-stream' : 'application/json' },
    body: { messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'Hi!' }] }] },
  }),
  listen(frames) {
    const said = nothingSaid()
    const open = new Set<unknown>()
    let isOver = false
    for (const { event, data } of frames) {
      expectThat(event === undefined, `an event named ${event}`)
      if (data === '[DONE]') {
        expectThat(isOver, '[DONE] without finish')
        continue
      }
      expectThat(!isOver, 'a chunk after finish')
      const chunk = JSON.parse(data) as Fields
      addChunk(said, chunk, open)
      if (chunk.type !== 'finish') continue
      isOver = true
      if (said.error !== undefined) continue
      expectThat(open.size === 0, 'a part that is still open')
      addEnd(said, FINISHES[String(chunk.finishReason)], chunk.messageMetadata as Fields)
    }
    return said
  },
  read({ parts, metadata }) {
    const said = nothingSaid()
    for (const part of parts as Fields[]) {
      if (part.type === 'text') said.text += toText(part.text)
      if (part.type === 'reasoning') said.reasoning += toText(part.text)
      const [, name] = /^tool-(.*)$/.exec(String(part.type)) ?? []
      if (name) said.calls.push({ id: String(part.toolCallId), name, arguments: JSON.stringify(part.input) })
    }
    const { finishReason, ...rest } = metadata as Fields
    addEnd(said, FINISHES[String(finishReason)], rest)
    return said
  },
  // A problem, as in the native protocol.
  readError: (body) => native.readError(body),
}

function addChunk(said: Said, chunk: Fields, open: Set<unknown>): void {
  const { type, id, delta, toolCallId, toolName, input } = chunk
  switch (type) {
    case 'text-start':
    case 'reasoning-start':
      expectThat(!open.has(id), 'a part that starts twice')
      open.add(id)
      return
    case 'text-end':
    case 'reasoning-end':
      expectThat(open.delete(id), 'an end without a start')
      return
    case 'text-delta':
    case 'reasoning-delta':
      expectThat(open.has(id), 'a delta of a part that is not open')
      if (type === 'text-delta') said.text += toText(delta)
      else said.reasoning += toText(delta)
      return
    case 'tool-input-start':
      open.add(toolCallId)
      return
    case 'tool-input-available':
      expectThat(open.delete(toolCallId), 'an input without a start')
      said.calls.push({ id: String(toolCallId), name: String(toolName), arguments: JSON.stringify(input) })
      return
    case 'error':
      said.error = toText(chunk.errorText)
      return
    case 'abort':
      said.error = toText(chunk.reason)
  }
}

function addEnd(said: Said, finish: Said['finish'], { usage }: Fields): void {
  if (finish) said.finish = finish
  if (!usage) return
  const { inputTokens, cachedInputTokens = 0, outputTokens } = usage as Record<string, number>
  said.usage = { input: inputTokens!, cached: cachedInputTokens, output: outputTokens! }
}
