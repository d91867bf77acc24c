import { isRecord, type Fields } from '../../src/json.ts'
import { grow, replace } from './accumulate.ts'

/** What a Messages stream adds up to, by the rules of the wire. */
export interface AnthropicAnswer {
  /** The message as it starts, and what `message_delta` says about it. */
  message: Fields
  blocks: Record<string, Fields>
  /** Fields that `message_delta` has beside its delta and the usage. */
  beside: Fields
  stopped: boolean
  /** Another message began in the middle of this one. */
  spliced?: true
  error?: unknown
}

/** Parses the input of each block, as every client does. */
function finish(answer: AnthropicAnswer): AnthropicAnswer {
  for (const block of Object.values(answer.blocks)) {
    const { partial_json } = block
    if (typeof partial_json !== 'string') continue
    delete block.partial_json
    if (partial_json === '') continue
    try {
      block.input = JSON.parse(partial_json)
    } catch {
      block.input = partial_json
    }
  }
  return answer
}

export function accumulateEvents(events: readonly Fields[]): AnthropicAnswer {
  let answer = start({})
  for (const event of events) {
    switch (event.type) {
      case 'message_start': // A second start begins the message anew.
        answer = {
          ...start(isRecord(event.message) ? event.message : {}),
          ...((answer.spliced || Object.keys(answer.blocks).length > 0) && { spliced: true as const }),
        }
        break
      case 'content_block_start':
        answer.blocks[indexOf(event)] = isRecord(event.content_block) ? { ...event.content_block } : {}
        break
      case 'content_block_delta':
        if (isRecord(event.delta)) addDelta((answer.blocks[indexOf(event)] ??= {}), event.delta)
        break
      case 'message_delta':
        addMessageDelta(answer, event)
        break
      case 'message_stop':
        answer.stopped = true
        break
      case 'error':
        answer.error = event.error
        break
      default: // `ping`, `content_block_stop`
    }
  }
  return finish(answer)
}

/** The start of a message may have content already: calls that code has made. */
function start({ content, ...message }: Fields): AnthropicAnswer {
  const blocks = Array.isArray(content) ? content.filter(isRecord) : []
  return { message, blocks: Object.fromEntries(blocks.entries()), beside: {}, stopped: false }
}

function addMessageDelta(answer: AnthropicAnswer, { type: _, delta, usage, ...rest }: Fields): void {
  replace(answer.message, isRecord(delta) ? delta : {})
  replace(answer.beside, rest)
  const counts = isRecord(answer.message.usage) ? { ...answer.message.usage } : {}
  replace(counts, isRecord(usage) ? usage : {})
  answer.message.usage = counts
}

function addDelta(block: Fields, { type, ...pieces }: Fields): void {
  switch (type) {
    case 'input_json_delta':
      block.partial_json = grow(block.partial_json, pieces.partial_json)
      return
    case 'citations_delta':
      block.citations = [...(Array.isArray(block.citations) ? block.citations : []), pieces.citation]
      return
    case 'text_delta':
    case 'thinking_delta':
      for (const [name, value] of Object.entries(pieces)) block[name] = grow(block[name], value)
      return
    default: // `signature_delta`, `compaction_delta`: complete values.
      replace(block, pieces)
  }
}

function indexOf({ index }: Fields): number {
  return typeof index === 'number' ? index : -1
}
