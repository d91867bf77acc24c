import type { Delta } from '../stream/events.ts'
import { anthropicFields, isOfBlock } from './anthropic.ts'
import { NO_BLOCKS, toBlockEvents, type BlockState } from './anthropic-blocks.ts'
import { type Fields } from './fields.ts'
import { followJson, JSON_START } from './json-progress.ts'

/** The content blocks of a message, as they grow. The cost is linear in the deltas. */
export class ContentBlocks {
  readonly #blocks: Block[] = []

  start(block: Fields): void {
    this.#blocks.push(new Block(block))
  }

  add(index: number, delta: Fields): void {
    this.#blocks[index]?.add(delta)
  }

  /** @param parse the value of a tool's input; the text itself when it is cut off or too large */
  toFields(parse: (json: string) => unknown): Fields[] {
    return this.#blocks.map((block) => block.toFields(parse))
  }
}

/** The order of blocks that a message's own fields imply. */
const ORDER = ['thinking', 'text', 'tool_use']

/** Accumulates the blocks of a choice, for `content` in the message's carried fields. */
export class ContentCollector {
  readonly #blocks = new ContentBlocks()
  #state: BlockState = NO_BLOCKS
  #rank = -1
  /** Whether the blocks say more than the message's own fields. */
  #saysMore = false

  add(delta: Delta): void {
    this.#saysMore ||= Object.keys(anthropicFields(delta.carried)).some(isOfBlock)
    const { events, state } = toBlockEvents(delta, this.#state)
    this.#state = state
    for (const event of events) {
      if (event.type === 'delta') this.#blocks.add(event.index, event.delta)
      else {
        this.#blocks.start(event.block)
        const rank = ORDER.indexOf(String(event.block.type))
        this.#saysMore ||= rank < this.#rank
        this.#rank = rank
      }
    }
  }

  get content(): Fields[] | undefined {
    return this.#saysMore ? this.#blocks.toFields(parseInput) : undefined
  }
}

/** A content block that grows in place; the upstream chooses its field names. */
class Block {
  readonly #type: unknown
  readonly #fields: Map<string, unknown>
  /** The JSON of its input so far. */
  #input: string | undefined
  #citations: unknown[] | undefined

  constructor(start: Fields) {
    this.#type = start.type
    this.#fields = new Map(Object.entries(start))
  }

  /** Known deltas change blocks of their own type only, as in the SDKs. */
  add({ type, ...delta }: Fields): void {
    switch (type) {
      case 'input_json_delta':
        if (this.#fields.has('input') && typeof delta.partial_json === 'string')
          this.#input = (this.#input ?? '') + delta.partial_json
        return
      case 'citations_delta':
        if (this.#type === 'text') this.#addCitation(delta.citation)
        return
      case 'text_delta':
        if (this.#type === 'text') this.#addText('text', delta.text)
        return
      case 'thinking_delta':
        if (this.#type === 'thinking') this.#addText('thinking', delta.thinking)
        return
      case 'signature_delta':
        if (this.#type === 'thinking') this.#fields.set('signature', delta.signature)
        return
      default: // `compaction_delta`: complete values.
        for (const [name, value] of Object.entries(delta)) this.#fields.set(name, value)
    }
  }

  toFields(parse: (json: string) => unknown): Fields {
    return {
      ...Object.fromEntries(this.#fields),
      ...(this.#citations && { citations: [...this.#citations] }),
      ...(this.#input !== undefined && { input: parse(this.#input) }),
    }
  }

  #addText(name: string, text: unknown): void {
    const before = this.#fields.get(name)
    this.#fields.set(name, `${typeof before === 'string' ? before : ''}${String(text)}`)
  }

  #addCitation(citation: unknown): void {
    if (!this.#citations) {
      const first = this.#fields.get('citations')
      this.#citations = Array.isArray(first) ? Array.from<unknown>(first) : []
    }
    this.#citations.push(citation)
  }
}

/** An input may come from a stranger: `JSON.stringify` recurses, and parsing takes time. */
const MAX_INPUT = { depth: 128, characters: 256 * 1024 }

function parseInput(json: string): unknown {
  if (json.length > MAX_INPUT.characters || followJson(JSON_START, json).deepest > MAX_INPUT.depth) return json
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}
