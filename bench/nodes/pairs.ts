// A process that reads each of several streams at two nodes at once, and notes when its tokens come.

import { connect } from 'node:net'
import { now } from '../clock.ts'
import { MARK } from '../request.ts'
import { answer } from '../remote.ts'

export interface PairOptions {
  /** The nodes, and for each stream what is sent to each of them. */
  ports: [number, number]
  requests: [string, string][]
}

/** When each token came, and from the request to the first one; in milliseconds. */
interface Reading {
  arrivals: number[]
  firstMs: number
}

export interface PairTimes {
  firstMs: [number[], number[]]
  /** How much later each token came at the second node, apart from the first of each stream. */
  laterMs: number[]
}

const MARK_BYTE = MARK.charCodeAt(0)
let pairs: [Reading, Reading][] = []

/** Resolves with its first token. */
function read(port: number, request: string): Promise<Reading> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const askedAt = now()
    const reading: Reading = { arrivals: [], firstMs: NaN }
    socket.on('data', (bytes) => {
      const at = now()
      for (const byte of bytes) if (byte === MARK_BYTE) reading.arrivals.push(at)
      if (reading.arrivals.length === 0 || !Number.isNaN(reading.firstMs)) return
      reading.firstMs = at - askedAt
      resolve(reading)
    })
    socket.once('data', (head) => {
      const text = head.toString('latin1')
      if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text))
    })
    socket.on('error', reject)
    socket.write(request)
  })
}

async function open({ ports, requests }: PairOptions): Promise<void> {
  pairs = []
  for (const [i, [one, other]] of requests.entries()) {
    // One after the other, each node first in turn: so neither waits for the other.
    const isFirst = i % 2 === 0
    const first = await (isFirst ? read(ports[0], one) : read(ports[1], other))
    const second = await (isFirst ? read(ports[1], other) : read(ports[0], one))
    pairs.push(isFirst ? [first, second] : [second, first])
  }
}

const commands = {
  open,
  times: (): PairTimes => ({
    firstMs: [pairs.map(([{ firstMs }]) => firstMs), pairs.map(([, { firstMs }]) => firstMs)],
    laterMs: pairs.flatMap(([one, other]) =>
      other.arrivals.slice(1, one.arrivals.length).map((at, i) => at - (one.arrivals[i + 1] ?? NaN)),
    ),
  }),
}
export type PairCommands = typeof commands

answer(commands)
