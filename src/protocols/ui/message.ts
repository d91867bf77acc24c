import { recordOrEmpty, type Fields } from '../../json.ts'
import { readInSlices } from '../../stream/event-loop.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import { initialState, toChunks, type Chunk } from './chunks.ts'

/** The `UIMessage` that the stream adds up to, as a page collects it. */
export async function renderWhole(log: StreamLog): Promise<Fields> {
  const message = new Collector()
  let state = initialState(log.info)
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) {
      const step = toChunks(event, state)
      state = step.state
      for (const chunk of step.chunks) message.add(chunk)
    }
  })
  return message.toFields()
}

class Collector {
  #id: unknown
  #metadata: unknown
  readonly #parts: Fields[] = []
  /** Open texts and tools by their id. */
  readonly #open = new Map<unknown, Fields>()

  add({ type, ...chunk }: Chunk): void {
    switch (type) {
      case 'start':
        this.#id = chunk.messageId
        return
      case 'start-step':
        this.#parts.push({ type: 'step-start' })
        return
      case 'text-start':
      case 'reasoning-start':
        return this.#addPart(chunk.id, {
          type: type.slice(0, -'-start'.length),
          text: '',
          state: 'done',
          ...signed(chunk),
        })
      case 'text-delta':
      case 'reasoning-delta': {
        const part = this.#open.get(chunk.id)
        if (part) Object.assign(part, { text: `${String(part.text)}${String(chunk.delta)}` }, signed(chunk))
        return
      }
      case 'tool-input-available':
      case 'tool-input-error':
        return this.#addTool(type === 'tool-input-available', chunk)
      case 'tool-output-available':
        return this.#endTool(chunk.toolCallId, { state: 'output-available', output: chunk.output })
      case 'tool-output-error':
        return this.#endTool(chunk.toolCallId, { state: 'output-error', errorText: chunk.errorText })
      case 'source-url':
      case 'source-document':
        this.#parts.push({ type, ...chunk })
        return
      case 'finish':
        this.#metadata = { finishReason: chunk.finishReason, ...recordOrEmpty(chunk.messageMetadata) }
    }
  }

  toFields(): Fields {
    return { id: this.#id, role: 'assistant', metadata: this.#metadata, parts: this.#parts }
  }

  #addPart(id: unknown, part: Fields): void {
    this.#open.set(id, part)
    this.#parts.push(part)
  }

  #addTool(isValid: boolean, chunk: Fields): void {
    const { toolCallId, toolName, input, errorText, providerExecuted, dynamic, providerMetadata } = chunk
    this.#addPart(`tool ${String(toolCallId)}`, {
      ...(dynamic ? { type: 'dynamic-tool', toolName } : { type: `tool-${String(toolName)}` }),
      toolCallId,
      ...(isValid ? { state: 'input-available', input } : { state: 'output-error', rawInput: input, errorText }),
      ...(providerExecuted === true && { providerExecuted }),
      ...(providerMetadata !== undefined && { callProviderMetadata: providerMetadata }),
    })
  }

  #endTool(id: unknown, result: Fields): void {
    const part = this.#open.get(`tool ${String(id)}`)
    if (part) Object.assign(part, result)
  }
}

function signed({ providerMetadata }: Fields): Fields {
  return providerMetadata === undefined ? {} : { providerMetadata }
}
