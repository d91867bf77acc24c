import { execFileSync } from 'node:child_process'
import { findProgram, PROGRAMS, type ProgramName } from './programs.ts'

/** Builds what tests start as a process of its own, and installs the programs that suites need, where that is possible. */
export default function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
  const missing = names().filter((name) => !findProgram(name))
  if (missing.length > 0) install(missing)
  for (const name of names().filter((each) => !findProgram(each)))
    process.stderr.write(`\n!! ${name} is not installed: its suites ${process.env.CI ? 'FAIL' : 'DO NOT RUN'}.\n\n`)
}

function names(): ProgramName[] {
  return Object.keys(PROGRAMS) as ProgramName[]
}

/** Only where nobody would mind: as root (a container, a CI machine) or with sudo that asks nothing under CI. */
function install(missing: ProgramName[]): void {
  const root = process.getuid?.() === 0
  if (!root && !process.env.CI) return
  const packages = missing.map((name) => PROGRAMS[name].debianPackage)
  const prefix = root ? [] : ['sudo', '-n']
  try {
    for (const args of [
      ['update', '-qq'],
      ['install', '-qq', '-y', '--no-install-recommends', ...packages],
    ]) {
      const [command = 'apt-get', ...rest] = [...prefix, 'apt-get', ...args]
      execFileSync(command, rest, { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    }
  } catch {
    // No such package manager, or no network: said aloud by the caller.
  }
}
