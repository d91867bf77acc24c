import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { makeFolder, ROOT } from '../support/process.ts'
import type { Packed } from '../support/packed.ts'
import { findRecipe, type Recipe } from './docs.ts'

export interface Running {
  /** Waits until what it has written matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  kill(signal: NodeJS.Signals): void
  /** The exit code, and everything it has written. */
  ended: Promise<{ code: number | null; text: string }>
}

/**
 * A user with an empty folder and a page of the docs, who does what it says. Ports of the docs are replaced by free ones, and
 * the packages' names by their tarballs: they are not published yet.
 */
export class Day {
  readonly #recipe: Recipe
  readonly #folder: string
  readonly #replacements: [from: string, to: string][]
  readonly #startedAt = performance.now()
  readonly #steps: string[] = []
  #packed: Packed
  env: Record<string, string> = {}

  private constructor(recipe: Recipe, packed: Packed, folder: string, replacements: [string, string][]) {
    this.#recipe = recipe
    this.#packed = packed
    this.#folder = folder
    this.#replacements = replacements
  }

  static async begin(heading: string, packed: Packed): Promise<Day> {
    const [folder, gateway, other] = await Promise.all([makeFolder(), freePort(), freePort()])
    const day = new Day(findRecipe(heading), packed, folder, [
      ['localhost:8080', `localhost:${gateway}`],
      ['localhost:3000', `localhost:${other}`],
      ['listen(3000', `listen(${other}`],
    ])
    day.env = { PORT: String(gateway) }
    return day
  }

  /** The docs' text as it is for this user. */
  adapt(text: string): string {
    return this.#replacements.reduce((adapted, [from, to]) => adapted.replaceAll(from, to), text)
  }

  /** Saves a file of the recipe, or another. */
  async save(name: string, text = this.#recipe.files.get(name)): Promise<void> {
    if (text === undefined) throw new Error(`The recipe has no file ${name}.`)
    this.#step(`save ${name}`)
    await writeFile(join(this.#folder, name), this.adapt(text))
  }

  /** Starts a command that the recipe has, with more arguments; ended with the test. */
  start(command: string, ...args: string[]): Running {
    if (!this.#recipe.commands.includes(command)) throw new Error(`The recipe has no command ${command}.`)
    this.#step(command)
    const line = command.startsWith('npm install ') ? this.#installing(command) : this.adapt(command)
    // `exec`: a signal reaches the program, not the shell.
    return run(spawn('sh', ['-c', ['exec', line, ...args].join(' ')], this.#options))
  }

  /** Runs a command that the recipe has to its end, which has to be a good one; what it has written. */
  async run(command: string): Promise<string> {
    const { code, text } = await this.start(command).ended
    if (code !== 0) throw new Error(`${command} ended with ${code}: ${text}`)
    return text
  }

  /** The same packages: ours from their tarballs, others in the version that this checkout has. */
  #installing(command: string): string {
    const names = command.split(' ').slice(2)
    const ours: Record<string, string> = { sluice: this.#packed.sluice, '@sluice/client': this.#packed.client }
    const packages = names.map((name) => ours[name] ?? `${name}@${installedVersion(name)}`)
    return ['npm install --prefer-offline --no-audit --no-fund', ...packages].join(' ')
  }

  get #options() {
    const { PATH, HOME } = process.env
    return { cwd: this.#folder, env: { PATH, HOME, NO_COLOR: '1', ...this.env }, detached: true }
  }

  /** For the report, too: the first token has come. */
  gotToken(): void {
    this.#step('the first token')
  }

  #step(what: string): void {
    this.#steps.push(`${((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6)} s  ${what}`)
  }

  /** What this user did, for people who read the test's output. */
  report(who: string): void {
    process.stdout.write(`\n${who}, begun at:\n${this.#steps.join('\n')}\n`)
  }
}

function run(child: ChildProcess): Running {
  let text = ''
  const waiting = new Set<() => void>()
  const take = (chunk: string) => {
    text += chunk
    for (const look of waiting) look()
  }
  child.stdout?.setEncoding('utf8').on('data', take)
  child.stderr?.setEncoding('utf8').on('data', take)
  const ended = new Promise<{ code: number | null; text: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, text }))
  })
  // npx has children of its own: all of this group.
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal)
  }
  onTestFinished(async () => {
    kill('SIGKILL')
    await ended
  })
  return {
    kill,
    ended,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text)
          if (match) resolve(match)
        }
        waiting.add(look)
        look()
        void ended.then(() => reject(new Error(`It ended without ${pattern}: ${text}`)))
      }),
  }
}

function installedVersion(name: string): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
  )
  return version
}
