import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AtEnd } from '../support/process.ts'
import type { Attack, Scale } from './attack.ts'
import { ask, startHostileUpstream, startTarget, type Target } from './target.ts'
import { Witness, type Testimony } from './witness.ts'

/** `npm run test:hostile` runs attacks in full, and also checks how long others wait. */
export const SCALE: Scale = process.env.HOSTILE === 'full' ? 'full' : 'quick'

/** Limits for one turn of the event loop, in seconds, and for the median gap between reads of an honest stream. */
const LONGEST_TURN = 0.1
const MEDIAN_GAP_MS = 100

const TOKENS = 40

/** A gateway, and what its upstream does at present, if it has one. */
interface Scene {
  target: Target
  upstream: { answer: NonNullable<Attack['upstream']> } | undefined
}

/** A gateway with the settings of this attack. */
async function setScene({ env, upstream: answer }: Attack, atEnd: AtEnd): Promise<Scene> {
  if (!answer) return { target: await startTarget(env, { atEnd }), upstream: undefined }
  const upstream = { answer }
  const port = await startHostileUpstream((socket) => upstream.answer(socket, SCALE), atEnd)
  const keys = { OPENAI_API_KEY: 'x', ANTHROPIC_API_KEY: 'x' }
  const urls = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` }
  // The upstream is asked, however often it has failed.
  const files = { 'sluice.yaml': 'breaker: { failures: 1000000 }' }
  return { target: await startTarget({ ...env, ...keys, ...urls }, { files, atEnd }), upstream }
}

/** In `quick`, attacks with the same settings follow each other on one gateway, since starting one takes a second. */
class Scenes {
  readonly #shared = new Map<string, Scene>()
  /** The last one first. */
  readonly #cleanUps: (() => Promise<void>)[] = []

  async enter(attack: Attack): Promise<Target> {
    if (SCALE === 'full' || attack.spoils) return (await setScene(attack, onTestFinished)).target
    const settings = JSON.stringify([attack.upstream !== undefined, attack.env])
    let scene = this.#shared.get(settings)
    if (!scene || scene.target.ended !== undefined) {
      scene = await setScene(attack, (cleanUp) => this.#cleanUps.unshift(cleanUp))
      this.#shared.set(settings, scene)
    }
    const { target, upstream } = scene
    if (upstream && attack.upstream) upstream.answer = attack.upstream
    // The output, the peak and the garbage of the attack before are not this one's.
    await target.sample()
    target.forget()
    return target
  }

  async close(): Promise<void> {
    for (const cleanUp of this.#cleanUps) await cleanUp()
  }
}

/** The testimony without an attack; the mock always sends the same text. */
let calm: Promise<Testimony> | undefined

/** Upper bound of the longest turn of the event loop, in seconds: that of the last non-empty bucket. */
export function longestTurn(metrics: string): string {
  const buckets = [...metrics.matchAll(/^sluice_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)]
  const total = buckets.at(-1)?.[2]
  return buckets.find(([, , count]) => count === total)?.[1] ?? '?'
}

export interface Bounds {
  /** Growth of the resident memory since `before`, in MB. */
  memory: number
  before: number
  /** Seconds. */
  turn?: number | undefined
}

/** The gateway runs, reported no bug, and held to its bounds; times are checked in the full suite only. */
export async function expectUnharmed(target: Target, { memory, before, turn = LONGEST_TURN }: Bounds): Promise<void> {
  expect(target.ended).toBeUndefined()
  expect(target.output()).not.toMatch(/"level":"(error|fatal)"|Warning|UnhandledPromise/)
  expect(target.peak() - before).toBeLessThan(memory)
  const longest = longestTurn((await ask(target, '/metrics')).body)
  if (SCALE === 'full') expect(Number(longest)).toBeLessThanOrEqual(turn)
}

/** Runs each attack beside an honest caller; in `full`, on its own gateway. */
export function describeAttacks(whose: string, attacks: readonly Attack[]): void {
  describe(`attacks by ${whose}`, () => {
    const scenes = new Scenes()
    afterAll(() => scenes.close())

    it.each(attacks.filter(({ only = SCALE }) => only === SCALE))(
      '$name: the gateway survives, and other callers lose nothing',
      async (attack) => {
        const target = await scenes.enter(attack)
        const idle = await (calm ??= new Witness(target, TOKENS).leave())
        const before = target.rss()
        const witness = new Witness(target, TOKENS)
        await attack.run(target, SCALE)
        const seen = await witness.leave()
        expect(seen).toMatchObject({ complete: true, text: idle.text, failures: 0 })
        const turn = longestTurn((await ask(target, '/metrics')).body)
        await expectUnharmed(target, { memory: attack.memory, before, turn: attack.longestTurn })
        if (SCALE === 'quick') return
        console.log(
          `${attack.name}: RSS +${Math.round(target.peak() - before)} MB, longest turn ≤ ${turn} s, ` +
            `longest wait ${Math.round(seen.worst)} ms (idle ${Math.round(idle.worst)}), median gap ${Math.round(seen.gap)} ms`,
        )
        expect(seen.gap).toBeLessThan(MEDIAN_GAP_MS)
      },
    )
  })
}
