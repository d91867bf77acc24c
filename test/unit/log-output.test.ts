import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LogOutput } from '../../src/telemetry/logger.ts'

const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

function makeFifo(): string {
  const path = join(makeFolder(), 'fifo')
  execFileSync('mkfifo', [path])
  return path
}

function open(path: string, flags: number): number {
  const fd = openSync(path, flags | O_NONBLOCK)
  onTestFinished(() => closeSync(fd))
  return fd
}

/** A pipe with both ends in this process; only the test reads it. */
function makePipe(): { fd: number; read: (bytes?: number) => string } {
  const fd = open(makeFifo(), O_RDWR)
  return { fd, read: (bytes) => readSome(fd, bytes) }
}

/** The current content of a pipe. */
function readSome(fd: number, bytes = 1 << 20): string {
  const buffer = Buffer.alloc(bytes)
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer))
  } catch {
    return ''
  }
}

/** Reads until this has come. */
async function readUntil(read: () => string, end: string): Promise<string> {
  let text = read()
  for (; !text.endsWith(end); text += read()) await nextTurn()
  return text
}

/** More than a pipe holds. */
const LINES = Array.from({ length: 500 }, (_, index) => `${String(index).padStart(999, '.')}\n`)

describe('LogOutput', () => {
  it('writes the lines of a turn when the turn is over', async () => {
    const { fd, read } = makePipe()
    const output = new LogOutput(fd)
    output.write('one\n')
    output.write('two\n')
    expect(read()).toBe('')
    await nextTurn()
    await nextTurn()
    expect(read()).toBe('one\ntwo\n')
  })

  it('loses no line to a file, however many a turn logs', () => {
    const path = join(makeFolder(), 'log')
    const output = new LogOutput(open(path, O_WRONLY | O_CREAT | O_APPEND), { limit: 100_000 })
    for (const line of LINES) output.write(line)
    output.writeNow()
    expect(readFileSync(path, 'utf8')).toBe(LINES.join(''))
  })

  it('does not wait for a stalled reader, which later gets every line', async () => {
    const { fd, read } = makePipe()
    const output = new LogOutput(fd)
    for (const line of LINES) output.write(line)
    output.writeNow()
    expect(await readUntil(read, LINES.at(-1)!)).toBe(LINES.join(''))
  })

  it('drops lines beyond its limit, and later reports how many', async () => {
    const { fd, read } = makePipe()
    const output = new LogOutput(fd, { limit: 100_000 })
    for (const line of LINES) output.write(line)
    const text = await readUntil(read, '"log lines dropped"}\n')
    const lines = text.trimEnd().split('\n')
    const report = JSON.parse(lines.pop()!)
    expect(lines).toEqual(LINES.slice(0, lines.length).map((line) => line.trimEnd()))
    expect(report).toEqual({
      level: 'warn',
      time: expect.any(String),
      lines: LINES.length - lines.length,
      msg: 'log lines dropped',
    })
    output.write('after\n')
    expect(await readUntil(read, 'after\n')).toBe('after\n')
  })

  it('continues with the next reader when one has gone', async () => {
    const path = makeFifo()
    const first = openSync(path, O_RDONLY | O_NONBLOCK)
    const output = new LogOutput(open(path, O_WRONLY))
    output.write('one\n')
    expect(await readUntil(() => readSome(first), 'one\n')).toBe('one\n')
    closeSync(first)
    output.write('two\n')
    output.writeNow()
    const second = open(path, O_RDONLY)
    expect(await readUntil(() => readSome(second), 'two\n')).toBe('two\n')
  })

  it('calls back once all is written, not before', async () => {
    const { fd, read } = makePipe()
    const output = new LogOutput(fd)
    let written = false
    await new Promise<void>((resolve) => output.flush(resolve))
    for (const line of LINES) output.write(line)
    const flushed = new Promise<void>((resolve) =>
      output.flush(() => {
        written = true
        resolve()
      }),
    )
    await nextTurn()
    expect(written).toBe(false)
    const reading = readUntil(read, LINES.at(-1)!)
    await flushed
    await reading
  })

  it('writes every line once and in order, however its reader reads', async () => {
    const step = fc.oneof(
      fc.record({ write: fc.integer({ min: 1, max: 30_000 }) }),
      fc.record({ read: fc.integer({ min: 1, max: 100_000 }) }),
      fc.constant('turn' as const),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const fd = openSync(makeFifo(), O_RDWR | O_NONBLOCK)
        const output = new LogOutput(fd)
        let [written, text] = ['', '']
        for (const each of steps) {
          if (each === 'turn') await nextTurn()
          else if ('read' in each) text += readSome(fd, each.read)
          else {
            const line = `${String(written.length).repeat(each.write).slice(0, each.write)}\n`
            written += line
            output.write(line)
          }
        }
        output.write('end\n')
        text += await readUntil(() => readSome(fd), 'end\n')
        closeSync(fd)
        expect(text === `${written}end\n`).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})
