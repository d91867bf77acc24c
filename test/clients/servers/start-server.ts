import { spawn } from 'node:child_process'
import { Journal } from '../../support/cutting-proxy.ts'

export interface ModelServer {
  url: string
  /** What it prints, line by line. */
  lines: Journal<string>
  stop(): Promise<void>
}

/** Starts a program that prints `LISTENING` with its origin once it serves. */
export async function startServer([command, ...args]: readonly [string, ...string[]]): Promise<ModelServer> {
  const lines = new Journal<string>()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const output of [child.stdout, child.stderr]) {
    let unfinished = ''
    output.setEncoding('utf8').on('data', (text: string) => {
      const parts = (unfinished + text).split('\n')
      unfinished = parts.pop() ?? ''
      for (const part of parts) lines.add(part)
    })
  }
  const exited = new Promise<void>((resolve) => {
    child.on('error', (error) => lines.add(`EXITED ${String(error)}`))
    child.on('close', (code, signal) => {
      lines.add(`EXITED ${code ?? signal}`)
      resolve()
    })
  })
  await lines.until((all) => all.some((line) => /^(LISTENING|EXITED) /.test(line)))
  const listening = lines.entries.find((line) => line.startsWith('LISTENING '))
  if (!listening) throw new Error(`The server did not start:\n${lines.entries.join('\n')}`)
  return {
    url: listening.slice('LISTENING '.length),
    lines,
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
