import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { it } from 'vitest'

/** A minute in CI, 4 seconds elsewhere; longer by hand: `FUZZ_SECONDS=3600 npm run test:fuzz`. */
const SECONDS = Number(process.env.FUZZ_SECONDS ?? (process.env.CI ? 60 : 4))

const FOLDER = fileURLToPath(new URL('../fixtures/fuzz/', import.meta.url))

export interface Fuzzer<T> {
  /** The folder of saved findings. */
  name: string
  /** Inputs that survive a JSON round trip. */
  input: fc.Arbitrary<T>
  /** Throws when the input causes a failure. */
  check: (input: T) => Promise<void>
  /** Throws when all inputs together have left something behind. */
  finish?: () => Promise<void>
}

/** How long: a share of the time, or a number of inputs. */
export type Effort = { parts: number } | { runs: number }

/** Parsed files of a folder of fixtures. */
export function readFixtures(name: string): unknown[] {
  const folder = `${FOLDER}${name}/`
  if (!existsSync(folder)) return []
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(folder + file, 'utf8')))
}

/** Runs saved findings first, then new inputs. A new finding is shrunk and saved as a fixture for later runs. */
export function fuzz<T>(behaviour: string, effort: Effort, start: () => Promise<Fuzzer<T>>): void {
  const milliseconds = 'parts' in effort ? (SECONDS * 1000) / effort.parts : undefined
  it(
    behaviour,
    async () => {
      const { name, input, check, finish } = await start()
      for (const saved of readFixtures(name)) await check(saved as T)
      const result = await fc.check(fc.asyncProperty(input, check), {
        numRuns: 'runs' in effort ? effort.runs : Infinity,
        ...(milliseconds !== undefined && { interruptAfterTimeLimit: milliseconds }),
        // Bounds shrinking.
        timeout: 30_000,
      })
      if (!result.failed || !result.counterexample) return finish?.()
      const json = JSON.stringify(result.counterexample[0])
      const folder = `${FOLDER}${name}/`
      mkdirSync(folder, { recursive: true })
      const file = `${folder}${createHash('sha256').update(json).digest('hex').slice(0, 12)}.json`
      writeFileSync(file, `${json}\n`)
      throw new Error(`Saved as ${file}, after ${result.numRuns} runs, seed ${result.seed}`, {
        cause: result.errorInstance,
      })
    },
    // A thousand inputs take seconds; a full run of them takes minutes.
    ('runs' in effort ? effort.runs * 100 : SECONDS * 2000) + 300_000,
  )
}
