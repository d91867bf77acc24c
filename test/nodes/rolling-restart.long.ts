import { expect, it, vi } from 'vitest'
import { startNode, type NodeProcess } from '../support/gateway-nodes.ts'
import { describeWith } from '../support/programs.ts'
import { sharedRedis } from '../support/redis.ts'
import { startRoundRobin } from '../support/round-robin.ts'
import {
  startCounting,
  startPage,
  startResponses,
  startSdk,
  type Outcome,
  type Question,
  type RunningClient,
} from './restart-clients.ts'

const NODES = 3
const CLIENTS = 300
/** Too short for most streams, and long enough for some. */
const DRAIN_MS = 2000

const KINDS: Record<string, (url: string, question: Question, key: string) => RunningClient> = {
  'sluice/client': startSdk,
  Responses: startResponses,
  useChat: startPage,
  'counted chunks': startCounting,
}

const kinds = Object.keys(KINDS)

/** From one to 15 seconds of tokens; every third of a kind thinks before it says anything. */
function ask(client: number): Question {
  const isThinking = Math.floor(client / kinds.length) % 3 === 0
  const words = isThinking ? 20 : 10 + ((client * 37) % 140)
  const text = Array.from({ length: words }, (_, word) => `${client}.${word}é `).join('')
  return { text, interval_ms: 100, ...(isThinking && { first_token_ms: 8000 + ((client * 97) % 15_000) }) }
}

vi.setConfig({ testTimeout: 600_000 })

describeWith('redis', 'three nodes that are restarted in turn', () => {
  it('end every stream with its full text or a failure that may be retried', async () => {
    const redis = await sharedRedis()
    const prefix = `test:${Math.random()}:`
    const start = (env: Record<string, string> = {}) =>
      // A busy machine is no reason to give up a node.
      startNode(redis.url, prefix, { DRAIN_MS: String(DRAIN_MS), LEASE_MS: '10000', ...env })
    const nodes: NodeProcess[] = await Promise.all(Array.from({ length: NODES }, () => start()))
    const balancer = await startRoundRobin(nodes.map(({ url }) => url))
    const startedAt = performance.now()

    const clients = Array.from({ length: CLIENTS }, (_, client) => {
      const kind = kinds[client % kinds.length]!
      const question = ask(client)
      const key = `${prefix}${client}`
      return { kind, key, question, ...KINDS[kind]!(balancer.url, question, key) }
    })
    const outcomes = Promise.all(clients.map(async ({ outcome, ...rest }) => ({ ...rest, ...(await outcome) })))
    // Nobody waits for it while nodes restart.
    outcomes.catch(() => {})
    await Promise.all(clients.map(({ started }) => started))
    // They come back on other nodes than those of their streams.
    balancer.cut()

    for (const [i, node] of nodes.entries()) {
      node.kill('SIGTERM')
      expect(await node.exited).toBe(0)
      nodes[i] = await start({ PORT: new URL(node.url).port })
    }

    const restarted = performance.now()
    const results = await outcomes
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    for (const { as, text, question } of results) {
      if (as === 'whole') expect(text).toBe(question.text)
      else expect(question.text.startsWith(text)).toBe(true)
    }
    const count = (wanted: (outcome: Outcome) => boolean) => results.filter(wanted).length
    for (const kind of kinds) {
      const these = results.filter((result) => result.kind === kind)
      console.log(kind, {
        whole: these.filter(({ as }) => as === 'whole').length,
        gateway_shutdown: these.filter(({ as }) => as === 'shutdown').length,
        startedAgain: these.filter(({ isSecond }) => isSecond).length,
        resumes: these.reduce((sum, { resumes }) => sum + resumes, 0),
      })
    }
    console.log({ clients: CLIENTS, restartSeconds: Math.round((restarted - startedAt) / 1000), seconds })
    expect(count(({ as }) => as === 'whole')).toBeGreaterThan(0)
    expect(count(({ as }) => as === 'shutdown')).toBeGreaterThan(0)
    // The SDK had asked again before anything was sent, and has not failed for it.
    expect(count(({ as, isSecond }) => isSecond && as === 'whole')).toBeGreaterThan(0)
    for (const { kind, as, text } of results)
      if (kind === 'sluice/client' && as === 'shutdown') expect(text).not.toBe('')

    // The key of a stream that was cut off starts another one.
    const failed = results.filter(({ kind, as }) => kind === 'sluice/client' && as === 'shutdown')
    const again = failed.map(({ question, key }) => startSdk(balancer.url, question, key).outcome)
    for (const [i, outcome] of again.entries())
      expect(await outcome).toMatchObject({ as: 'whole', text: failed[i]!.question.text })
  })
})
