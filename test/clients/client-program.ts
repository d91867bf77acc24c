import { spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { Journal } from '../support/cutting-proxy.ts'
import { LANGUAGES, type LanguageName } from './languages.ts'

/** What a program is told, in JSON, as its only argument. */
export interface Job {
  client: string
  /** The origin of the gateway. */
  base: string
  /** Its `Idempotency-Key`. */
  key: string
  /** Where it begins: empty, or the id of the last frame that it has. */
  cursor: string
  body: Record<string, unknown>
  /** What it does after the first text: reads on, closes its connection, or asks for the stream to be cancelled. */
  afterFirst: 'stay' | 'leave' | 'cancel'
}

/** What a program says, one JSON line each. */
export type Line =
  | { type: 'text'; text: string }
  /** It was handed an event without data. */
  | { type: 'empty' }
  /** Something broke, as far as its user hears of it. */
  | { type: 'error'; message: string }
  /** It stops: a finish reason, `204` when told that there is no more, or `left`. */
  | { type: 'end'; reason: string }
  /** The process has ended, with this code or signal, and this on stderr. */
  | { type: 'exit'; code: string; stderr: string }

/** A client in a process of its own, ended with the test if it has not ended by then. */
export class ClientProgram {
  readonly lines = new Journal<Line>()

  constructor(language: LanguageName, job: Job) {
    const [command, ...args] = LANGUAGES[language].run
    const child = spawn(command, [...args, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [unfinished, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const parts = (unfinished + text).split('\n')
      unfinished = parts.pop() ?? ''
      for (const part of parts) this.lines.add(JSON.parse(part))
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const exited = new Promise<void>((resolve) => {
      child.on('error', (error) => this.#exit(String(error), stderr, resolve))
      child.on('close', (code, signal) => this.#exit(String(code ?? signal), stderr, resolve))
    })
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await exited
    })
  }

  of<T extends Line['type']>(type: T): Extract<Line, { type: T }>[] {
    return this.lines.entries.filter((line): line is Extract<Line, { type: T }> => line.type === type)
  }

  get text(): string {
    return this.of('text')
      .map(({ text }) => text)
      .join('')
  }

  /** Waits until this is all the text that it has; fails when the program ends first, or has another text. */
  async untilText(expected: string): Promise<void> {
    await this.lines.until(() => this.text.length >= expected.length || this.of('exit').length > 0)
    if (this.text !== expected) throw new Error(`Not the text that was told: ${JSON.stringify(this.lines.entries)}`)
  }

  /** Waits for the end of the program, and resolves with what it stopped for. */
  async end(): Promise<string> {
    await this.lines.until(() => this.of('exit').length > 0)
    const [{ code, stderr }, end] = [this.of('exit')[0]!, this.of('end')[0]]
    if (code !== '0' || !end) throw new Error(`It ended with ${code}: ${stderr}`)
    return end.reason
  }

  #exit(code: string, stderr: string, resolve: () => void): void {
    this.lines.add({ type: 'exit', code, stderr })
    resolve()
  }
}
