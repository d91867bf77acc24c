import type { Delta, ToolCallDelta } from '../stream/events.ts'
import { anthropicFields, isOfBlock, type AnthropicCarried } from './anthropic.ts'
import { writeCalls, writeTexts, writeThoughts, type Blocks } from './anthropic-blocks.ts'
import type { Fields } from './fields.ts'
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

/** Accumulates the blocks of a message from Anthropic, for `content` in its carried fields. */
export class ContentCollector implements Blocks {
  readonly #blocks = new ContentBlocks()
  readonly #calls = new Map<number, number>()
  count = 0
  last: string | undefined
  #rank = -1
  /** Whether the blocks say more than the message's own fields. */
  #saysMore = false

  add(delta: Delta): void {
    const own = anthropicFields(delta.carried)
    this.#saysMore ||= Object.keys(own).some(isOfBlock)
    writeThoughts(this, delta, own)
    writeTexts(this, delta, own)
    writeCalls(this, delta, own)
  }

  get content(): Fields[] | undefined {
    return this.#saysMore ? this.#blocks.toFields(parseInput) : undefined
  }

  placeOf(call: number): number | undefined {
    return this.#calls.get(call)
  }

  start(block: Fields): void {
    this.#blocks.start(block)
    this.count += 1
    this.last = String(block.type)
    const rank = ORDER.indexOf(this.last)
    this.#saysMore ||= rank < this.#rank
    this.#rank = rank
  }

  startCall({ index, id, function: called }: ToolCallDelta, { content_block: block }: AnthropicCarried): number {
    const place = this.count
    this.#calls.set(index, place)
    this.start(block?.type === 'tool_use' ? block : { type: 'tool_use', id, name: called?.name, input: {} })
    return place
  }

  push(index: number, delta: Fields): void {
    this.#blocks.add(index, delta)
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
    if (typeof type !== 'string') return
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
