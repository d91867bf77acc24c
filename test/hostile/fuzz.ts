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
}

/**
 * Runs saved findings first, then new inputs for a while. A new finding is shrunk and saved as a fixture for later
 * runs.
 */
export function fuzz<T>(behaviour: string, parts: number, start: () => Promise<Fuzzer<T>>): void {
  it(
    behaviour,
    async () => {
      const { name, input, check } = await start()
      const folder = `${FOLDER}${name}/`
      for (const file of existsSync(folder) ? readdirSync(folder) : [])
        await check(JSON.parse(readFileSync(folder + file, 'utf8')))
      const result = await fc.check(fc.asyncProperty(input, check), {
        numRuns: Infinity,
        interruptAfterTimeLimit: (SECONDS * 1000) / parts,
        // Bounds shrinking.
        timeout: 30_000,
      })
      if (!result.failed || !result.counterexample) return
      const json = JSON.stringify(result.counterexample[0])
      mkdirSync(folder, { recursive: true })
      const file = `${folder}${createHash('sha256').update(json).digest('hex').slice(0, 12)}.json`
      writeFileSync(file, `${json}\n`)
      throw new Error(`Saved as ${file}, after ${result.numRuns} runs, seed ${result.seed}`, {
        cause: result.errorInstance,
      })
    },
    SECONDS * 2000 + 120_000,
  )
}
