import type { Relay, Running } from '../peers/relay.ts'
import type { Rig, Sample } from '../rig.ts'

/** What a measure works with. */
export interface Bench {
  readonly rig: Rig
  readonly quick: boolean
  /** The full figure, or what a quick run makes do with. */
  choose: <T>(full: T, quick: T) => T
  /** Where the build under test is. */
  readonly dist: string
  /** The Node binary that runs it, and the relays written in JavaScript. */
  readonly node: string
  /** All that can be had of those that were asked for, started once for all measures that compare them. */
  relays(): Promise<StartedRelay[]>
  /** The relays whose opening is compared: Sluice with access control and a log, as for its users. */
  openers(): Promise<StartedRelay[]>
  progress: (text: string) => void
}

export interface StartedRelay {
  relay: Relay
  running: Running
}

export interface Measure {
  /** What `--only` takes. */
  readonly name: string
  /** Left out of a quick run that does not ask for it. */
  readonly fullOnly?: boolean
  /** Asks for the relays; when none is left that does, they are stopped, so that they do nothing to the others. */
  readonly comparesRelays?: boolean
  run(bench: Bench): Promise<Section>
}

/** One table of the report. */
export interface Section {
  title: string
  /** How it was measured. */
  method: string
  columns: string[]
  rows: string[][]
  notes?: string[]
  targets?: Target[]
}

/** Something that `--check` holds Sluice to. */
export interface Target {
  what: string
  /** NaN when what it is compared with is missing. */
  value: number
  /** At most; without either limit, the value is for comparison only. */
  limit?: number
  atLeast?: number
  unit?: string
}

/** A B C A B C …: whatever the machine does meanwhile, it does to all of them. */
export async function interleave<T>(
  rounds: number,
  subjects: readonly T[],
  visit: (subject: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 1; round <= rounds; round++) for (const subject of subjects) await visit(subject, round)
}

/** A peer that fails is said to have failed; Sluice may not. */
export async function spare(relay: Relay, notes: Set<string>, visit: () => Promise<void>): Promise<void> {
  try {
    await visit()
  } catch (error) {
    if (relay.ours) throw error
    notes.add(`${relay.id}: a round of it failed, ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** @throws Error when there is nothing to divide by */
export function cpuPerToken({ cpuSeconds, tokens }: Sample): number {
  if (tokens === 0) throw new Error('Not one token arrived while it was measured.')
  return (cpuSeconds * 1e6) / tokens
}

/** The values of one subject, over the rounds. */
export class Collected<T = number> {
  readonly #values = new Map<string, T[]>()

  add(value: T, ...key: (string | number)[]): void {
    const name = key.join('\0')
    const values = this.#values.get(name)
    if (values) values.push(value)
    else this.#values.set(name, [value])
  }

  get(...key: (string | number)[]): T[] {
    return this.#values.get(key.join('\0')) ?? []
  }
}
