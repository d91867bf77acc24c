import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { startNodes } from '../support/gateway-nodes.ts'
import { describeWith } from '../support/programs.ts'
import { startDeployedNginx } from '../support/proxies/deployed-nginx.ts'
import { chat, resume, type Reader } from '../support/reader.ts'

const CLIENTS = 1000
/** At a time: what two cores bear, with nginx, Redis and both gateways. */
const BATCH = 50

/** How long an answer is, in words, and after how many bytes of each response its reader loses the connection. */
const plan = fc.record({
  words: fc.integer({ min: 20, max: 200 }),
  cuts: fc.array(fc.nat(2500), { minLength: 1, maxLength: 8 }),
})
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

/** All connections of one client. */
async function read(url: string, text: string, { cuts }: Plan): Promise<Reader[]> {
  let reader = await chat(url, { mock: { text, interval_ms: 3 } })
  const connections = [reader]
  const { id } = reader
  for (const bytes of cuts) {
    await reader.until(({ body, closed }) => closed || body.length >= bytes)
    reader.cut()
    reader = await resume(url, id, connections.flatMap(({ ids }) => ids).at(-1))
    connections.push(reader)
  }
  await reader.end()
  return connections
}

function expectWhole(connections: readonly Reader[], text: string): void {
  const ids = connections.flatMap((connection) => connection.ids)
  expect(connections.map((connection) => connection.text).join('')).toBe(text)
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b))
  expect(connections.flatMap(({ dones }) => dones)).toMatchObject([{ finish_reason: 'stop' }])
  // 204: it had been cut after its last event.
  for (const { status } of connections) expect([200, 204]).toContain(status)
}

vi.setConfig({ testTimeout: 600_000 })

describeWith('redis', 'two nodes', () => {
  describeWith('nginx', 'behind nginx', (program) => {
    it('serve 1,000 readers that are cut anywhere and resume on whichever node is next: nothing is lost or repeated', async () => {
      const seed = Date.now()
      const [first, second] = await startNodes(2)
      const { url } = await startDeployedNginx(program, [first!.url, second!.url])
      const plans = fc.sample(plan, { numRuns: CLIENTS, seed })
      const startedAt = performance.now()
      let connections = 0
      for (let from = 0; from < CLIENTS; from += BATCH) {
        await Promise.all(
          plans.slice(from, from + BATCH).map(async (each, i) => {
            const text = Array.from({ length: each.words }, (_, word) => `${from + i}.${word}é `).join('')
            const all = await read(url, text, each)
            expectWhole(all, text)
            connections += all.length
          }),
        )
      }
      const requests = [first!, second!].map(({ lines }) => lines.entries.filter(({ msg }) => msg === 'request').length)
      const seconds = Math.round((performance.now() - startedAt) / 1000)
      console.log({ seed, clients: CLIENTS, connections, requests, seconds })
      expect(Math.min(...requests)).toBeGreaterThan(connections / 4)
    })
  })
})
