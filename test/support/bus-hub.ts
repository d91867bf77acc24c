import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Bus, BusHandlers } from '../../src/store/bus.ts'
import { lastOf, type Piece } from '../../src/stream/piece.ts'

interface Channel {
  /** As they were published: JSON. */
  pieces: string[]
  /** Readers by node. */
  readers: Map<Bus, number>
  changed: Set<() => void>
}

/** Connects the gateways of a process as if they were nodes: whatever they say arrives in a later turn. */
export class BusHub {
  readonly #channels = new Map<string, Channel>()
  readonly #nodes = new Map<Bus, BusHandlers>()
  /** Following and asking fails from now on. */
  broken = false

  connect(): Bus {
    const bus: Bus = {
      serve: (handlers) => void this.#nodes.set(bus, handlers),
      publish: (id, piece) => {
        const channel = this.#channel(id)
        channel.pieces.push(JSON.stringify(piece))
        for (const wake of channel.changed) wake()
      },
      follow: (id, from) => this.#follow(id, from),
      cancel: async (id) => {
        await nextTurn()
        if (this.broken) throw new Error('The bus is broken.')
        this.#tellOthers(bus, (node) => node.cancel(id))
      },
      readers: (id, count) => {
        const { readers } = this.#channel(id)
        readers.set(bus, count)
        const sum = [...readers.values()].reduce((all, each) => all + each, 0)
        setImmediate(() => this.#tellOthers(bus, (node) => node.readers(id, sum)))
      },
      close: async () => void this.#nodes.delete(bus),
    }
    return bus
  }

  /** Those who follow hear that it is broken. */
  break(): void {
    this.broken = true
    for (const { changed } of this.#channels.values()) for (const wake of changed) wake()
  }

  #channel(id: string): Channel {
    let channel = this.#channels.get(id)
    if (!channel) this.#channels.set(id, (channel = { pieces: [], readers: new Map(), changed: new Set() }))
    return channel
  }

  #tellOthers(bus: Bus, tell: (node: BusHandlers) => void): void {
    for (const [each, node] of this.#nodes) if (each !== bus) tell(node)
  }

  async *#follow(id: string, from: number): AsyncGenerator<Piece> {
    const { pieces, changed } = this.#channel(id)
    for (let next = 0; ; next++) {
      while (next >= pieces.length && !this.broken)
        await new Promise<void>((resolve) => {
          const wake = () => {
            changed.delete(wake)
            setImmediate(resolve)
          }
          changed.add(wake)
        })
      if (this.broken) throw new Error('The bus is broken.')
      const piece: Piece = JSON.parse(pieces[next] ?? '')
      if (lastOf(piece) <= from) continue
      yield piece
      if ('event' in piece && piece.event.type === 'done') return
    }
  }
}
