import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Missing } from './relay.ts'

/** Where peers are installed: not tracked, not published, gone with `node_modules`. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/sluice-bench', import.meta.url))

const run = promisify(execFile)

/** Installs something once; a folder that is marked as complete is used as it is. @throws Missing */
export async function installed(name: string, install: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, name)
  const mark = join(folder, '.complete')
  if (existsSync(mark)) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  try {
    await install(folder)
  } catch (error) {
    throw new Missing(`it could not be installed: ${lastLine(error)}`, { cause: error })
  }
  writeFileSync(mark, '')
  return folder
}

export async function inFolder(folder: string, command: string, args: string[]): Promise<void> {
  await run(command, args, { cwd: folder, timeout: 600_000 })
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  const lines = (stderr || message).trim().split('\n')
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '').slice(0, 200)
}
