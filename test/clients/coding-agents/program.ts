import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A home and a project of its own, with these files in the home. */
export async function startHome(files: Record<string, string>): Promise<{ home: string; project: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'coding-agent-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const [home, project] = [join(folder, 'home'), join(folder, 'project')]
  await mkdir(project, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true })
    await writeFile(join(home, path), content)
  }
  return { home, project }
}

/** Runs a program that knows nothing of the user's own files, and resolves with the JSON lines that it prints. */
export async function run(
  [command, ...args]: readonly string[],
  { home, project }: { home: string; project: string },
  { input = '', environment = {} }: { input?: string; environment?: Record<string, string> } = {},
): Promise<Record<string, unknown>[]> {
  const child = spawn(command!, args, {
    cwd: project,
    env: { PATH: process.env.PATH, HOME: home, ...environment },
    timeout: 55_000,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (stderr += text))
  child.stdin.on('error', () => {}).end(input)
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exit, signal) => resolve(exit ?? signal))
  })
  if (code !== 0) throw new Error(`It ended with ${String(code)}: ${stderr}\n${stdout}`)
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
}
