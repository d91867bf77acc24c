import { expect } from 'vitest'
import type { Activity } from '../../src/client/index.ts'
import { Wire } from '../client/harness.ts'
import { FaultyNetwork } from './faulty-network.ts'
import {
  createDriver,
  type Outcome,
  type ReportActivity,
  type StreamDriver,
  type StreamRequest,
} from './stream-driver.ts'

/** Where the client runs. */
export interface ClientRuntime {
  name: string
  /** Torn down with the test, which fails if anything was thrown there that nobody caught. */
  open(network: FaultyNetwork, report: ReportActivity): Promise<StreamDriver>
}

export const inNode: ClientRuntime = {
  name: 'Node',
  open: async ({ url }, report) => createDriver(url, report),
}

/** One stream in a runtime. */
export interface DrivenStream {
  wire: Wire
  abort(): Promise<void>
  outcome(): Promise<Outcome>
}

/** A client in its runtime, the network and, behind that, the gateway. */
export interface ClientUnderTest {
  network: FaultyNetwork
  start: (request: StreamRequest) => Promise<DrivenStream>
}

export async function openClient(runtime: ClientRuntime, gatewayUrl: string): Promise<ClientUnderTest> {
  const network = await FaultyNetwork.start(gatewayUrl)
  const wires: Wire[] = []
  const driver = await runtime.open(network, (run: number, activity: Activity) => wires[run]?.add(activity))
  return {
    network,
    async start(request) {
      const wire = new Wire()
      const run = wires.push(wire) - 1
      await driver.start(run, request)
      return { wire, abort: () => driver.abort(run), outcome: () => driver.outcome(run) }
    },
  }
}

/** The source's text, each event once, and then the end. */
export async function expectWhole(stream: DrivenStream, text: string): Promise<void> {
  const outcome = await stream.outcome()
  expect(outcome).toMatchObject({ text, ended: { as: 'well', finish_reason: 'stop' }, agreed: true })
  expect(outcome.seqs).toEqual([...new Set(outcome.seqs)].toSorted((a, b) => a - b))
  await stream.wire.untilCount('end', 1)
  expect(stream.wire.of('end')).toMatchObject([{ as: 'finished' }])
  expect(covered(stream.wire)).toBe(outcome.seqs.at(-1))
}

/** The text that came before, and then exactly one failure, the same one for everybody who reads. */
export async function expectFailed(stream: DrivenStream, text: string, error: Record<string, unknown>): Promise<void> {
  expect(await stream.outcome()).toMatchObject({ text, ended: { as: 'failed', error }, agreed: true })
  await stream.wire.untilCount('end', 1)
  expect(stream.wire.of('end')).toMatchObject([{ as: error.name === 'AbortError' ? 'aborted' : 'failed' }])
}

/**
 * Nothing is asked for after the end: not by the time a whole other exchange is over, one that is cut in its middle and
 * comes back as soon as anything of the first would.
 */
export async function expectNothingMore({ network, start }: ClientUnderTest): Promise<void> {
  const before = network.requests.entries.length
  const idempotencyKey = `marker ${before}`
  network.cut()
  network.plan({ cut: { frames: 1 } })
  const messages = [{ role: 'user' as const, content: 'hi' }]
  const chat = { messages, mock: { text: 'marker', interval_ms: 0 } }
  const marker = await start({ chat, options: { idempotencyKey }, backoffMs: 0 })
  await expectWhole(marker, 'marker')
  const { id } = await marker.outcome()
  const others = network.requests.entries
    .slice(before)
    .filter(({ path, headers }) => path !== `/v1/streams/${id}` && headers['idempotency-key'] !== idempotencyKey)
  expect(others).toEqual([])
}

/** How many events of the stream its frames add up to. */
function covered(wire: Wire): number {
  return wire.of('frame').reduce((sum, { covers }) => sum + covers, 0)
}
