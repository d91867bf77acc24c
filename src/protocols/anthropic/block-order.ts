import type { BlockEvent } from '../../wires/block-events.ts'
import { followJson, JSON_START, type JsonProgress } from '../../wires/json-progress.ts'
import type { Fields } from '../../json.ts'

export type BlockFrame =
  | { type: 'content_block_start'; index: number; content_block: Fields }
  | { type: 'content_block_delta'; index: number; delta: Fields }
  | { type: 'content_block_stop'; index: number }

/** Immutable: shared by readers. */
export interface OrderState {
  /** The last block that was sent, until it is stopped. */
  readonly open?: number | undefined
  /** How far the JSON of the open block has come, when it is a tool call. */
  readonly call?: JsonProgress | undefined
  /** Blocks before the open one that are not stopped, since their upstream had not stopped them. */
  readonly held: readonly number[]
  /** Events of later blocks than the open one, which is an incomplete tool call. The newest comes first. */
  readonly waiting?: Waiting | undefined
  /** A delta came too late for its block. */
  readonly broken?: true
}

interface Waiting {
  readonly event: BlockEvent
  readonly before: Waiting | undefined
  /** In characters: of this, and of this and all before. */
  readonly own: number
  readonly size: number
  /** Number of blocks among these events that have not started. */
  readonly blocks: number
}

export const IN_ORDER: OrderState = { held: [] }

/** Characters of events that wait for a call; beyond, the call is closed as it is. */
export const MAX_WAITING = 1024 * 1024
/** Blocks that wait for a call. Each call that completes goes through all that waits. */
export const MAX_WAITING_BLOCKS = 64
/** Beyond, the first is stopped. */
const MAX_HELD = 16

/**
 * Sends one block after the other: clients run a tool call as soon as its block stops, and a stopped block takes no
 * more deltas. Some upstreams mix the fragments of several calls, or send text between them: what belongs to later
 * blocks waits until the call is complete.
 */
export class BlockOrder {
  readonly frames: BlockFrame[] = []
  state: OrderState

  constructor(state: OrderState) {
    this.state = state
  }

  push(event: BlockEvent, size?: number): void {
    const { open, call, held, waiting } = this.state
    const isBlocked = waiting !== undefined || (call !== undefined && !call.complete)
    if (event.type === 'start') {
      if (isBlocked) this.#wait(event, size)
      else this.#start(event)
    } else if (event.index === open) {
      this.#send(event.index, event.delta)
      if (call) this.#follow(call, event.delta)
    } else if (held.includes(event.index)) this.#send(event.index, event.delta)
    else if (waiting && open !== undefined && event.index > open) this.#wait(event, size)
    // Some upstreams end a call with white space.
    else if (!isBlank(event.delta)) this.state = { ...this.state, broken: true }
  }

  /** Sends all that waits, and stops every block. */
  end(): void {
    this.#release({ force: true })
    for (const index of this.state.held) this.#stop(index)
    if (this.state.open !== undefined) this.#stop(this.state.open)
    this.state = { ...this.state, held: [], open: undefined, call: undefined }
  }

  #start({ index, block, overlaps }: BlockEvent & { type: 'start' }): void {
    const { open, call } = this.state
    let { held } = this.state
    if (open !== undefined) {
      if (overlaps && !call) held = [...held, open]
      else this.#stop(open)
    }
    const [first] = held
    if (held.length > MAX_HELD && first !== undefined) {
      this.#stop(first)
      held = held.slice(1)
    }
    this.frames.push({ type: 'content_block_start', index, content_block: block })
    this.state = { ...this.state, open: index, call: block.type === 'tool_use' ? JSON_START : undefined, held }
  }

  #follow(call: JsonProgress, { partial_json }: Fields): void {
    if (typeof partial_json !== 'string') return
    this.state = { ...this.state, call: followJson(call, partial_json) }
    if (this.state.call?.complete && this.state.waiting) this.#release()
  }

  /** @param own its size, if it has waited before */
  #wait(event: BlockEvent, own = 64 + JSON.stringify(event).length): void {
    const { waiting } = this.state
    const size = (waiting?.size ?? 0) + own
    const blocks = (waiting?.blocks ?? 0) + (event.type === 'start' ? 1 : 0)
    this.state = { ...this.state, waiting: { event, before: waiting, own, size, blocks } }
    if (size > MAX_WAITING || blocks > MAX_WAITING_BLOCKS) this.#release({ force: true })
  }

  /**
   * Sends what waits, block by block, up to the next incomplete call; the rest waits on.
   * @param force whether to close incomplete calls, too
   */
  #release({ force = false } = {}): void {
    const blocks = new Map<number, Waiting[]>()
    const all: Waiting[] = []
    for (let each = this.state.waiting; each; each = each.before) all.push(each)
    for (const each of all.toReversed()) {
      const ofBlock = blocks.get(each.event.index)
      if (ofBlock) ofBlock.push(each)
      else blocks.set(each.event.index, [each])
    }
    this.state = { ...this.state, waiting: undefined }
    for (const ofBlock of blocks.values()) {
      if (force) this.state = { ...this.state, call: undefined }
      for (const { event, own } of ofBlock) this.push(event, own)
    }
  }

  #send(index: number, delta: Fields): void {
    this.frames.push({ type: 'content_block_delta', index, delta })
  }

  #stop(index: number): void {
    this.frames.push({ type: 'content_block_stop', index })
  }
}

function isBlank({ type, partial_json }: Fields): boolean {
  return type === 'input_json_delta' && typeof partial_json === 'string' && partial_json.trim() === ''
}
