import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { fileLimit } from './processes.ts'

/** What the figures depend on, beside the code. */
export function describeMachine(versions: Record<string, string>, node = process.execPath): [string, string][] {
  const cores = cpus()
  return [
    ['cores', `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}`],
    ['memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['kernel', `Linux ${release()}`],
    ['open files', String(fileLimit())],
    ['Node', execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()],
    ['Sluice', commit()],
    ...Object.entries(versions),
  ]
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const changed = git('status', '--porcelain', '--', 'src', 'providers').trim() !== ''
    return `${git('rev-parse', '--short', 'HEAD').trim()}${changed ? ' with changes' : ''}`
  } catch {
    return 'not a checkout'
  }
}
